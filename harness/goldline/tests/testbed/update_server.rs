//! Images for updates, by HTTPS.

use goldline::{
    clock::Clock,
    testbed::{
        authority::Authority,
        update_server::{Download, UpdateServer},
    },
};

use super::{
    bench::{A_YEAR, authority, patience},
    web::{Answer, call, plain, secure},
};

const NAME: &str = "updates.example.test";

async fn server(authority: &Authority) -> UpdateServer {
    let certificate = authority.issue_server(&[NAME.to_owned()], A_YEAR).expect("a certificate");
    UpdateServer::start(&certificate, &[], Clock::system()).await.expect("it starts")
}

async fn ask(server: &UpdateServer, authority: &Authority, line: &str) -> Answer {
    let stream = secure(server.address(), authority.root_pem(), NAME).await;
    call(stream.expect("it is trusted"), line, &[], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_image_is_downloaded_whole_and_noted() {
    let authority = authority();
    let server = server(&authority).await;
    // Larger than any buffer on the way, and every byte value is in it.
    let image: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = server.publish(image.clone());
    assert_eq!(server.downloads().len(), 0);
    let answer = ask(&server, &authority, &format!("GET {path}")).await;
    assert_eq!(answer.status, 200);
    let length = format!("content-length: {}", image.len());
    assert!(answer.head.to_lowercase().contains(&length), "{}", answer.head);
    assert!(answer.body == image, "bytes differ");
    let noted = server.follow().next(patience()).await.expect("it is in the log").event.what;
    assert_eq!(noted, Download { path });
}

#[tokio::test(flavor = "multi_thread")]
async fn images_have_paths_of_their_own_that_nobody_guesses() {
    let authority = authority();
    let server = server(&authority).await;
    let (old, new) = (server.publish(b"old".to_vec()), server.publish(b"new".to_vec()));
    assert_ne!(old, new);
    assert!(old.len() > 32, "{old}");
    for (path, expected) in [(&new, b"new"), (&old, b"old")] {
        let answer = ask(&server, &authority, &format!("GET {path}")).await;
        assert_eq!(answer.body, expected);
    }
    let noted: Vec<_> = server.downloads().into_iter().map(|noted| noted.event.what.path).collect();
    assert_eq!(noted, [new, old]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_published_does_not_exist() {
    let authority = authority();
    let server = server(&authority).await;
    let path = server.publish(b"image".to_vec());
    for line in ["GET /".to_owned(), format!("GET {path}x"), format!("POST {path}")] {
        assert_eq!(ask(&server, &authority, &line).await.status, 404, "{line}");
    }
    assert_eq!(server.downloads().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_given_by_https_alone_and_under_its_name() {
    let authority = authority();
    let server = server(&authority).await;
    let path = server.publish(b"image".to_vec());
    let address = server.address();
    secure(address, super::bench::authority().root_pem(), NAME).await.expect_err("another root");
    secure(address, authority.root_pem(), "other.example.test").await.expect_err("another name");

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = plain(address).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = Vec::new();
    // How the connection ends is not the question.
    let _ended = tokio::time::timeout(super::bench::PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("it ends");
    assert!(!answer.windows(5).any(|bytes| bytes == b"image"), "{answer:?}");
    assert_eq!(server.downloads().len(), 0);
}
