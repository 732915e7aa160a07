//! All errors of a file at once, in order, and nothing that only follows from one.

use std::fmt::Write;

use rstest::rstest;

use crate::csv::{Mode, NoFiles, parse};

/// Line, column and the message's beginning, one line an error.
fn errors(text: &str, mode: Mode) -> Vec<String> {
    let errors = parse(text.as_bytes(), mode, &mut NoFiles).unwrap_err();
    assert_eq!(errors.omitted(), 0);
    let line = |error: &crate::csv::CsvError| {
        let message = error.problem.to_string();
        let beginning: Vec<_> = message.split(' ').take(3).collect();
        format!("{}:{} {}", error.position.line, error.position.column, beginning.join(" "))
    };
    errors.listed().iter().map(line).collect()
}

fn strict(rows: &str) -> Vec<String> {
    errors(&format!("key,type,encoding,value\nns,namespace,,\n{rows}"), Mode::Strict)
}

#[test]
fn every_error_is_listed_in_the_order_of_the_file() {
    let rows = "\
a,data,u8,300
b,data,u8,1
b,data,u8,2
toolongforakey16,data,hex2bin,123
c,dta,u8,1
d,data,string,x,y
e,data,u8
f,data,string,\"x\"y
g,file,binary,absent
h,data,string,\"x
#y\"
i,data,u8,1
j,data,string,\"open
k,data,u8,300
";
    let expected = [
        "3:11 the value is",
        "5:1 `b` is already",
        "6:1 `toolongforakey16` has 16",
        "6:31 3 hexadecimal digits",
        "7:3 the type is",
        "8:17 5 fields where",
        "9:1 no field for",
        "10:18 text after the",
        "11:15 cannot read `absent`:",
        "13:1 a line of",
        "15:15 the quote opened",
    ];
    assert_eq!(strict(rows), expected);
}

#[test]
fn the_columns_of_a_line_are_in_order_whatever_theirs_is() {
    let text = "value,encoding,type,key\n,,namespace,ns\n300,u8,data,toolongforakey16\n";
    assert_eq!(errors(text, Mode::Strict), ["3:1 the value is", "3:13 `toolongforakey16` has 16"]);
}

#[rstest]
#[case::lines_of_a_pem(
    "a,data,string,-----BEGIN KEY-----\nMIIE\nAAAA\n\nBBBB\n-----END KEY-----\nb,data,u8,x",
    &["3:15 a PEM has", "9:11 the value is"],
)]
#[case::lines_of_a_text(
    "a,data,string,one\ntwo\nthree\nfour\nb,data,u8,1\nfive",
    &["4:1 no field for", "8:1 no field for"],
)]
#[case::quotes_in_a_text_of_lines(
    "a,data,string,\"{\n \"b\": \"c\"\n}\"\nb,data,u8,x",
    &["4:3 text after the", "6:11 the value is"],
)]
#[case::a_second_slip_of_the_same_value(
    "a,data,string,\"{\"b\":1,\"c\":2}\"",
    &["3:18 text after the"],
)]
#[case::keys_of_a_lost_namespace(
    "toolongforaspace,namespace,,\na,data,u8,1\nb,data,u8,x\nc,namespace,,\na,data,u8,1",
    &["3:1 `toolongforaspace` has 16", "5:11 the value is"],
)]
#[case::keys_of_a_reopened_namespace(
    "a,data,u8,1\nb,namespace,,\na,data,u8,1\nns,namespace,,\nc,data,u8,1\na,data,u8,2",
    &["6:1 the namespace `ns`", "8:1 `a` is already"],
)]
#[case::a_key_after_its_wrong_value("a,data,u8,x\na,data,u8,1", &["3:11 the value is", "4:1 `a` is already"])]
fn what_follows_from_an_error_is_not_listed(#[case] rows: &str, #[case] expected: &[&str]) {
    assert_eq!(strict(rows), expected);
}

#[test]
fn rows_before_the_first_namespace_are_one_error() {
    let text = "key,type,encoding,value\na,data,u8,1\nb,data,u8,x\nns,namespace,,\nc,data,u8,y\n";
    for mode in [Mode::Strict, Mode::Compat] {
        let expected = ["2:1 `a` stands before", "3:11 the value is", "5:11 the value is"];
        assert_eq!(errors(text, mode), expected);
    }
}

#[test]
fn too_many_namespaces_are_one_error() {
    let mut rows = String::new();
    for number in 1..260 {
        writeln!(rows, "n{number},namespace,,\na,data,u8,1").unwrap();
    }
    assert_eq!(strict(&rows), ["509:1 `n254` would be"]);
}

#[test]
fn very_many_errors_are_counted() {
    let mut text = String::from("key,type,encoding,value\nns,namespace,,\n");
    for number in 0..120 {
        writeln!(text, "a{number},data,u8,300").unwrap();
    }
    let errors = parse(text.as_bytes(), Mode::Strict, &mut NoFiles).unwrap_err();
    assert_eq!((errors.listed().len(), errors.omitted()), (50, 70));
    assert!(errors.to_string().ends_with("\nand 70 more"));
}

#[rstest]
#[case::semicolons(
    "key;type;encoding;value\nns;namespace;;\na;data;u8;300\n",
    "line 1, column 4",
    "`;`"
)]
#[case::tabs("key\ttype\tencoding\tvalue\nns\tnamespace\t\t\n", "line 1, column 4", "a tab")]
#[case::quoted("\n\"key\";\"type\";\"encoding\";\"value\"\n", "line 2, column 6", "`;`")]
#[case::rows_only(
    "key,type,encoding,value\nns;namespace;;\na;data;u8;1\n",
    "line 2, column 3",
    "`;`"
)]
fn another_separator_is_one_error(
    #[case] text: &str,
    #[case] position: &str,
    #[case] separator: &str,
) {
    for mode in [Mode::Strict, Mode::Compat] {
        let errors = parse(text.as_bytes(), mode, &mut NoFiles).unwrap_err();
        let expected = format!(
            "{position}: the separator of this file is {separator}, and must be `,`; \
             export it again with commas"
        );
        assert_eq!(errors.to_string(), expected);
    }
}

#[test]
fn a_value_with_semicolons_is_no_other_separator() {
    let text = "key,type,encoding,value\nns,namespace,,\na,data,string,x;data;y\n";
    assert!(parse(text.as_bytes(), Mode::Strict, &mut NoFiles).is_ok());
}
