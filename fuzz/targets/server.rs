//! A server that answers every request with arbitrary bytes.
#![no_main]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use policy::{Server, ServerOptions};

type Body = Arc<Mutex<Vec<u8>>>;

/// The server's address, and the body of its answers. Started only once per process.
fn server() -> &'static (String, Body) {
    static SERVER: OnceLock<(String, Body)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let body = Body::default();
        let said = Arc::clone(&body);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let _ = stream.read(&mut [0; 65_536]);
                let body = said.lock().expect("no thread panics").clone();
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            }
        });
        (address, body)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (address, body) = server();
    *body.lock().expect("no thread panics") = bytes.to_vec();
    let pause = Duration::from_micros(1);
    let options = ServerOptions { requests: 1, attempts: 1, timeout: Duration::from_secs(2), pause };
    if let Ok(server) = Server::connect(address, None, options) {
        let _ = server.require_likeliest();
    }
});
