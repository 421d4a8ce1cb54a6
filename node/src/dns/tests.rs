use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, AAAA, CNAME};

use super::*;

/// What a server does with one question.
#[derive(Clone, Copy)]
enum Reply {
    Address(&'static str),
    Alias(&'static str, &'static str),
    NoName,
    Fails,
    Silent,
    /// First an answer to another question, then the right one.
    ForgedFirst(&'static str),
}

/// A name server on the loopback device.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

fn record<'a>(name: &str, data: RData<'a>) -> ResourceRecord<'a> {
    let name = Name::new(name).unwrap().into_owned();
    ResourceRecord::new(name, CLASS::IN, 60, data)
}

fn address(text: &str, kind: QTYPE) -> Option<RData<'static>> {
    match (text.parse().unwrap(), kind) {
        (IpAddr::V4(address), QTYPE::TYPE(TYPE::A)) => Some(RData::A(A {
            address: address.into(),
        })),
        (IpAddr::V6(address), QTYPE::TYPE(TYPE::AAAA)) => Some(RData::AAAA(AAAA {
            address: address.into(),
        })),
        _ => None,
    }
}

fn serve(zone: &[(&'static str, Reply)]) -> Server {
    let zone: BTreeMap<&'static str, Reply> = zone.iter().copied().collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let query = Packet::parse(&buffer[..count]).unwrap();
            let question = query.questions[0].clone();
            let name = question.qname.to_string();
            log.lock().unwrap().push(name.clone());
            let reply = zone.get(name.as_str()).copied().unwrap_or(Reply::NoName);
            let mut answer = query.clone().into_reply();
            answer.questions = vec![question.clone()];
            match reply {
                Reply::Silent => continue,
                Reply::NoName => *answer.rcode_mut() = RCODE::NameError,
                Reply::Fails => *answer.rcode_mut() = RCODE::ServerFailure,
                Reply::Address(text) => {
                    let data = address(text, question.qtype);
                    answer.answers.extend(data.map(|data| record(&name, data)));
                }
                Reply::Alias(to, text) => {
                    let alias = Name::new(to).unwrap().into_owned();
                    answer
                        .answers
                        .push(record(&name, RData::CNAME(CNAME(alias))));
                    let data = address(text, question.qtype);
                    answer.answers.extend(data.map(|data| record(to, data)));
                }
                Reply::ForgedFirst(text) => {
                    let mut forged = answer.clone();
                    forged.set_id(answer.id().wrapping_add(1));
                    let data = address("6.6.6.6", question.qtype);
                    forged.answers.extend(data.map(|data| record(&name, data)));
                    socket
                        .send_to(&forged.build_bytes_vec().unwrap(), from)
                        .unwrap();
                    socket.send_to(b"no packet", from).unwrap();
                    let data = address(text, question.qtype);
                    answer.answers.extend(data.map(|data| record(&name, data)));
                }
            }
            socket
                .send_to(&answer.build_bytes_vec().unwrap(), from)
                .unwrap();
        }
    });
    Server { port, asked }
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn find(server: &Server, settings: &str, host: &str) -> io::Result<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = dir.path().join(format!("resolv-{number}.conf"));
    fs_err::write(&path, settings).unwrap();
    let hosts = dir.path().join("hosts");
    fs_err::write(&hosts, "10.9.9.9 known.example\n").unwrap();
    let dns = Dns {
        hosts,
        settings: path,
        port: server.port,
    };
    let found = dns.addresses(host)?;
    Ok(found.iter().map(ToString::to_string).collect())
}

const HERE: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

#[test]
fn names_become_addresses_of_both_kinds() {
    let server = serve(&[
        ("four.example", Reply::Address("192.0.2.1")),
        ("six.example", Reply::Address("2001:db8::1")),
        ("alias.example", Reply::Alias("real.example", "192.0.2.2")),
        ("forged.example", Reply::ForgedFirst("192.0.2.3")),
    ]);
    assert_eq!(find(&server, HERE, "four.example").unwrap(), ["192.0.2.1"]);
    assert_eq!(find(&server, HERE, "six.example").unwrap(), ["2001:db8::1"]);
    assert_eq!(find(&server, HERE, "alias.example").unwrap(), ["192.0.2.2"]);
    assert_eq!(
        find(&server, HERE, "forged.example").unwrap(),
        ["192.0.2.3"]
    );
    assert_eq!(find(&server, HERE, "known.example").unwrap(), ["10.9.9.9"]);
    assert_eq!(
        find(&server, HERE, "localhost").unwrap(),
        ["127.0.0.1", "::1"]
    );
}

#[test]
fn the_search_list_is_used() {
    let server = serve(&[("registry.site.example", Reply::Address("192.0.2.1"))]);
    let settings = format!("{HERE}search other.example site.example\n");
    assert_eq!(find(&server, &settings, "registry").unwrap(), ["192.0.2.1"]);
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            "registry.other.example",
            "registry.site.example",
            "registry.site.example"
        ]
    );
}

#[test]
fn no_host_and_no_answer_are_different_errors() {
    let server = serve(&[
        ("silent.example", Reply::Silent),
        ("fails.example", Reply::Fails),
    ]);
    let error = find(&server, HERE, "none.example").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let error = find(&server, HERE, "silent.example").unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "name server 127.0.0.1, asked for silent.example: no answer"
    );
    let error = find(&server, HERE, "fails.example").unwrap_err();
    assert!(
        error.to_string().ends_with("it answers ServerFailure"),
        "{error}"
    );
    let error = find(&server, "", "none.example").unwrap_err();
    assert!(error.to_string().contains("no name server"), "{error}");
}

#[test]
fn the_next_server_is_asked_where_one_is_silent() {
    let server = serve(&[("four.example", Reply::Address("192.0.2.1"))]);
    // Nobody listens on the same port of this address.
    let settings = "nameserver 127.0.0.2\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    assert_eq!(
        find(&server, settings, "four.example").unwrap(),
        ["192.0.2.1"]
    );
}
