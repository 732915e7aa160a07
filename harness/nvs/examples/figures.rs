//! How long the codec takes in process, for images of growing size.
//!
//! `cargo run --release -p goldline-nvs --example figures`

use std::hint::black_box;
use std::time::{Duration, Instant};

use goldline_nvs::csv::{Mode, NoFiles, parse};
use goldline_nvs::{Image, Version, generate};

fn main() {
    println!("size     keys  csv+generate    generate      decode  decode+view  findings");
    for (size, keys) in [(0x10000, 200), (0x10000, 800), (0x40000, 3200), (0x10_0000, 12800)] {
        let csv = csv(keys);
        let document = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).expect("the CSV is sound");
        let bytes = generate(&document, size, Version::V2).expect("the keys fit");
        let parsed = median(|| {
            let document = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles);
            black_box(generate(&document.expect("as above"), size, Version::V2))
        });
        let generated = median(|| black_box(generate(&document, size, Version::V2)));
        let decoded = median(|| black_box(Image::decode(&bytes)));
        let viewed = median(|| black_box(Image::decode(&bytes).expect("as above").device_view()));
        let checked = median(|| black_box(Image::decode(&bytes).expect("as above").findings()));
        println!(
            "{size:#08x} {keys:5}  {parsed:>12.1?} {generated:>11.1?} {decoded:>11.1?} {viewed:>12.1?} {checked:>9.1?}"
        );
    }
}

/// Half strings of two entries, half numbers.
fn csv(keys: usize) -> String {
    let mut csv = String::from("key,type,encoding,value\n");
    for key in 0..keys {
        if key % 400 == 0 {
            csv.push_str(&format!("ns{},namespace,,\n", key / 400));
        }
        csv.push_str(&match key % 2 {
            0 => format!("key{key},data,u32,{key}\n"),
            _ => format!("key{key},data,string,value number {key}\n"),
        });
    }
    csv
}

fn median<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let start = Instant::now();
            drop(run());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
