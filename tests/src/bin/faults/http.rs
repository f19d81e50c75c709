//! As much of HTTP/1.1 as the proxies and the runtime API need: one request a connection, bodies of a given length.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// Request line and headers, with the empty line behind.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The method and the path with its query.
    pub(crate) fn line(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        )
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Reads a request; nothing when the client has closed the connection before its end.
pub(crate) async fn read_request(client: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8(read).map_err(io::Error::other)?;
    if header(&head, "transfer-encoding").is_some() || header(&head, "expect").is_some() {
        return Err(io::Error::other(format!("not understood: {head}")));
    }
    let length = header(&head, "content-length").map_or(Ok(0), str::parse);
    let length: usize = length.map_err(io::Error::other)?;
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Request { head, body }))
}

/// Hands the request to the server as it is, but for the connection, and returns the whole answer.
pub(crate) async fn forward(server: &str, request: &Request) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(server).await?;
    let lines = request.head.trim_end().lines();
    let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut head = kept.collect::<Vec<_>>().join("\r\n");
    head.push_str("\r\nconnection: close\r\n\r\n");
    server.write_all(head.as_bytes()).await?;
    server.write_all(&request.body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Sends an answer, after which the connection is closed.
pub(crate) async fn answer(
    client: &mut TcpStream,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let length = body.len().to_string();
    head.extend(["content-length: ", &length, "\r\n\r\n"]);
    client.write_all(head.as_bytes()).await?;
    client.write_all(body).await
}
