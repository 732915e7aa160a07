//! What strict mode refuses, with the position, and what it forgives.

mod every_error;
mod round_trip;
mod wifi;

use rstest::rstest;

use super::{Mode, NoFiles, parse};
use crate::{Document, Value};

fn strict(rows: &str) -> Result<Document, String> {
    let text = format!("key,type,encoding,value\nns,namespace,,\n{rows}");
    parse(text.as_bytes(), Mode::Strict, &mut NoFiles).map_err(|error| error.to_string())
}

#[rstest]
#[case::duplicate(
    "a,data,u8,1\na,data,string,x",
    "line 4, column 1: `a` is already set in this namespace (line 3)"
)]
#[case::reopened(
    "b,namespace,,\nns,namespace,,",
    "line 4, column 1: the namespace `ns` was opened before"
)]
#[case::long_key("k234567890123456,data,u8,1", "line 3, column 1: `k234567890123456` has 16 bytes")]
#[case::foreign_key("é,data,u8,1", "line 3, column 1: `é` has the character 'é'")]
#[case::spaced_key("a ,data,u8,1", "line 3, column 1: `a ` begins or ends with a space")]
#[case::range("a,data,u8,300", "line 3, column 11: the value is out of range; u8 takes 0 to 255")]
#[case::capitals(
    "a,data,HEX2BIN,00",
    "line 3, column 8: the reference generator stores the text of `HEX2BIN` undecoded; write `hex2bin`"
)]
#[case::type_column(
    "a,uint8,u8,1",
    "line 3, column 3: the type is not one of data, file, namespace"
)]
#[case::encoding(
    "a,data,uint8,1",
    "line 3, column 8: the encoding `uint8` does not exist (did you mean `u8`?)"
)]
#[case::not_a_float(
    "a,data,float,1_0",
    "line 3, column 14: the value is not a decimal number; float takes"
)]
#[case::infinite_float(
    "a,data,float,1e39",
    "line 3, column 14: the value is out of range; float takes magnitudes of 1e-45 to 3.4028235e38"
)]
#[case::comma(
    "a,data,string,My,Network",
    "line 3, column 18: 5 fields where the header has 4; quote a value that contains a comma"
)]
#[case::short("a,data,u8", "line 3, column 1: no field for the column `value`")]
#[case::pem(
    "a,data,string,-----BEGIN CERTIFICATE-----\nAAAA",
    "line 3, column 15: a PEM has several lines: put it between quotes"
)]
#[case::file(
    "a,file,string,x.txt",
    "line 3, column 15: cannot read `x.txt`: file rows are not allowed here"
)]
#[case::wifi(
    "sta.ssid,data,string,net",
    "line 3, column 1: the reference generator adds further keys beside `sta.ssid`"
)]
fn what_the_reference_mangles_is_refused(#[case] rows: &str, #[case] expected: &str) {
    let message = strict(rows).unwrap_err();
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn long_values_are_refused_at_the_value() {
    let text = "x".repeat(3968);
    let message = strict(&format!("a,data,string,{text}")).unwrap_err();
    assert!(message.starts_with("line 3, column 15: the string has 3968 bytes"));
    let hex = "00".repeat(508_001);
    let message = strict(&format!("a,data,hex2bin,{hex}")).unwrap_err();
    assert!(message.starts_with("line 3, column 16: the blob has 508001 bytes"));
}

#[test]
fn rows_before_a_namespace_are_refused() {
    let text = b"key,type,encoding,value\na,data,u8,1";
    let error = parse(text, Mode::Compat, &mut NoFiles).unwrap_err();
    assert!(error.to_string().starts_with("line 2, column 1: `a` stands before"));
}

#[test]
fn marks_line_ends_comments_and_column_order_are_forgiven() {
    let text = "\u{FEFF}# made by hand\r\n note , value,encoding ,type,key\r\n\r\n\
                ,,,namespace,ns\r\n,\"-----BEGIN X-----\r\nAA\r\n-----END X-----\",string,data,pem\r\n";
    let document = parse(text.as_bytes(), Mode::Strict, &mut NoFiles).unwrap();
    let values: Vec<_> = document.entries().map(|(_, _, value)| value.clone()).collect();
    assert_eq!(values, [Value::str("-----BEGIN X-----\nAA\n-----END X-----")]);
}

#[test]
fn floats_are_for_strict_mode() {
    let rows = "a,data,float,0.1\nb,data,Double,-nan\n";
    let document = strict(rows).unwrap();
    let values: Vec<_> = document.entries().map(|(_, _, value)| value.clone()).collect();
    assert_eq!(values, [Value::F32(0.1), Value::F64(f64::from_bits(0xFFF8 << 48))]);
    let text = format!("key,type,encoding,value\nns,namespace,,\n{rows}");
    let errors = parse(text.as_bytes(), Mode::Compat, &mut NoFiles).unwrap_err().to_string();
    let expected = "line 3, column 8: the reference generator does not know `float`; \
                    use the strict mode\nline 4, column 8: the reference";
    assert!(errors.starts_with(expected), "{errors}");
}

#[test]
fn errors_never_quote_a_value() {
    for rows in ["a,data,u8,hunter2", "a,data,hex2bin,hunter2!", "a,data,base64,hunter2!"] {
        let message = strict(rows).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_private_key_without_quotes_does_not_reach_the_message() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let pem = format!("a,data,string,-----BEGIN PRIVATE KEY-----\n{line}\n");
    let bare = format!("{line}\n");
    for rows in [pem, bare] {
        for mode in [Mode::Strict, Mode::Compat] {
            let text = format!("key,type,encoding,value\nns,namespace,,\n{rows}");
            let error = parse(text.as_bytes(), mode, &mut NoFiles).unwrap_err();
            assert!(!error.to_string().contains(&line[..30]), "{error}");
        }
    }
}
