//! The products' own CSVs give the images whose digests are known.

use crate::support::{parse_csv, repository};
use goldline_nvs::csv::Mode;
use goldline_nvs::{Version, generate};
use rstest::rstest;
use sha2::{Digest, Sha256};

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[rstest]
#[case::espvault(
    "espvault.csv",
    0x6000,
    "51d2715c7c92b2cea5ceee226a9a7d9201c5fe6c790d025b0faec8039f0be6fe"
)]
#[case::zero_config(
    "zero_config.csv",
    0x10000,
    "7f824e7465fc224fd50def7ce5a7082f38561b55c2d5b1eac6ba80f0ee5de238"
)]
fn a_products_csv_gives_the_known_image(
    #[case] csv: &str,
    #[case] size: usize,
    #[case] expected: &str,
    #[values(Mode::Strict, Mode::Compat)] mode: Mode,
) {
    let path = repository().join("fixtures/csv").join(csv);
    let document = parse_csv(&path, mode).unwrap();
    let image = generate(&document, size, Version::V2).unwrap();
    assert_eq!(digest(&image), expected);
}
