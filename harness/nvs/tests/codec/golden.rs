//! The products' own CSVs give the images whose digests are known.

use crate::support::{parse_csv, repository};
use goldline_nvs::crypt::{self, Keys};
use goldline_nvs::csv::Mode;
use goldline_nvs::{Version, generate};
use rstest::rstest;
use sha2::{Digest, Sha256};

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn espvault_encrypted_gives_the_known_image() {
    let path = repository().join("fixtures/csv/espvault.csv");
    let document = parse_csv(&path, Mode::Strict).unwrap();
    let plain = generate(&document, 0x6000, Version::V2).unwrap();
    let keys = Keys::new(std::array::from_fn(|index| index as u8));
    let image = crypt::encrypt(&plain, &keys);
    assert_eq!(digest(&image), "7f43123b7870d7e0f8ee3ecc0f713f8517f1bf610d03ba9c7be6cb18d855ac6e");
    assert_eq!(crypt::decrypt(&image, &keys), Ok(plain));
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
