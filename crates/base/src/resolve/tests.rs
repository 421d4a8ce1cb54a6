use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord};

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
    /// More addresses than fit, of which so many bytes go over UDP.
    Long(Cut, Tcp),
}

/// What of an answer that is too long goes over UDP.
#[derive(Clone, Copy)]
enum Cut {
    /// No record.
    Empty,
    /// Two records.
    Two,
    /// A piece of a record.
    Piece,
}

/// What a server does over TCP.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tcp {
    /// Answers, in small pieces.
    Answers,
    /// Ends the connection.
    Ends,
    /// Says nothing.
    Silent,
    /// Answers another question.
    Forged,
}

/// Addresses of an answer that is too long for UDP.
const LONG: u8 = 250;

/// A name server on the loopback device.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

type Zone = BTreeMap<&'static str, Reply>;

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

fn long<'a>(name: &str, kind: QTYPE, count: u8) -> Vec<ResourceRecord<'a>> {
    (0..count)
        .filter_map(|n| address(&format!("192.0.2.{n}"), kind))
        .map(|data| record(name, data))
        .collect()
}

/// What a server knows of a query: the name that it asks for, what is done, and an
/// answer without records.
fn look<'a>(bytes: &'a [u8], zone: &Zone) -> (String, QTYPE, Reply, Packet<'a>) {
    let query = Packet::parse(bytes).unwrap();
    let question = query.questions[0].clone();
    let name = question.qname.to_string();
    let reply = zone.get(name.as_str()).copied().unwrap_or(Reply::NoName);
    let mut answer = query.into_reply();
    answer.questions = vec![question.clone()];
    (name, question.qtype, reply, answer)
}

fn serve(zone: &[(&'static str, Reply)]) -> Server {
    let zone: Arc<Zone> = Arc::new(zone.iter().copied().collect());
    // The same port twice.
    let (socket, listener) = (0..100)
        .find_map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let listener = TcpListener::bind(socket.local_addr().unwrap()).ok()?;
            Some((socket, listener))
        })
        .unwrap();
    let port = socket.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, udp) = (Arc::clone(&asked), Arc::clone(&zone));
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let (name, kind, reply, answer) = look(&buffer[..count], &udp);
            log.lock().unwrap().push(name.clone());
            for packet in over_udp(&name, kind, reply, answer) {
                socket.send_to(&packet, from).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        // Those that nothing is said to stay open.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            open.extend(over_tcp(stream.unwrap(), &zone));
        }
    });
    Server { port, asked }
}

fn over_udp(name: &str, kind: QTYPE, reply: Reply, mut answer: Packet<'_>) -> Vec<Vec<u8>> {
    let mut before = Vec::new();
    match reply {
        Reply::Silent => return Vec::new(),
        Reply::NoName => *answer.rcode_mut() = RCODE::NameError,
        Reply::Fails => *answer.rcode_mut() = RCODE::ServerFailure,
        Reply::Address(text) => {
            let data = address(text, kind);
            answer.answers.extend(data.map(|data| record(name, data)));
        }
        Reply::Alias(to, text) => {
            let alias = Name::new(to).unwrap().into_owned();
            answer
                .answers
                .push(record(name, RData::CNAME(CNAME(alias))));
            let data = address(text, kind);
            answer.answers.extend(data.map(|data| record(to, data)));
        }
        Reply::ForgedFirst(text) => {
            let mut forged = answer.clone();
            forged.set_id(answer.id().wrapping_add(1));
            let data = address("6.6.6.6", kind);
            forged.answers.extend(data.map(|data| record(name, data)));
            before = vec![forged.build_bytes_vec().unwrap(), b"no packet".to_vec()];
            let data = address(text, kind);
            answer.answers.extend(data.map(|data| record(name, data)));
        }
        Reply::Long(cut, _) => {
            answer.set_flags(PacketFlag::TRUNCATION);
            let count = match cut {
                Cut::Empty => 0,
                Cut::Two | Cut::Piece => 2,
            };
            answer.answers.extend(long(name, kind, count));
            let mut bytes = answer.build_bytes_vec().unwrap();
            if matches!(cut, Cut::Piece) {
                bytes.truncate(bytes.len() - 3);
            }
            return vec![bytes];
        }
    }
    before.push(answer.build_bytes_vec().unwrap());
    before
}

/// Gives the connection back that shall stay open.
fn over_tcp(mut stream: TcpStream, zone: &Zone) -> Option<TcpStream> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes).unwrap();
    let (name, kind, reply, mut answer) = look(&bytes, zone);
    let Reply::Long(_, tcp) = reply else {
        panic!("{name} is asked for over TCP")
    };
    match tcp {
        Tcp::Ends => return None,
        Tcp::Silent => return Some(stream),
        Tcp::Forged => answer.set_id(answer.id().wrapping_add(1)),
        Tcp::Answers => {}
    }
    answer.answers.extend(long(&name, kind, LONG));
    let bytes = answer.build_bytes_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap();
    for piece in [&length.to_be_bytes(), bytes.as_slice()]
        .concat()
        .chunks(1000)
    {
        stream.write_all(piece).unwrap();
    }
    None
}

/// On a system that has nothing to ask.
fn nobody() -> Resolver {
    Resolver {
        hosts: "/none/hosts".into(),
        resolved: "/none/socket".into(),
        getent: "/none/getent".to_owned(),
        settings: "/none/resolv.conf".into(),
        port: 1,
    }
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn find(server: &Server, settings: &str, host: &str) -> io::Result<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = dir.path().join(format!("resolv-{number}.conf"));
    fs_err::write(&path, settings).unwrap();
    let hosts = dir.path().join("hosts");
    fs_err::write(&hosts, "10.9.9.9 known.example\n").unwrap();
    let resolver = Resolver {
        hosts,
        settings: path,
        port: server.port,
        ..nobody()
    };
    let found = resolver.addresses(host)?;
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

#[test]
fn an_answer_that_is_too_long_for_udp_comes_over_tcp() {
    let server = serve(&[
        ("empty.example", Reply::Long(Cut::Empty, Tcp::Answers)),
        ("two.example", Reply::Long(Cut::Two, Tcp::Answers)),
        ("piece.example", Reply::Long(Cut::Piece, Tcp::Answers)),
    ]);
    for name in ["empty.example", "two.example", "piece.example"] {
        let found = find(&server, HERE, name).unwrap();
        assert_eq!(found.len(), usize::from(LONG), "{name}");
        assert_eq!(found[249], "192.0.2.249");
    }
}

#[test]
fn without_tcp_what_came_over_udp_is_enough() {
    for tcp in [Tcp::Ends, Tcp::Silent, Tcp::Forged] {
        let server = serve(&[
            ("two.example", Reply::Long(Cut::Two, tcp)),
            ("empty.example", Reply::Long(Cut::Empty, tcp)),
        ]);
        let found = find(&server, HERE, "two.example").unwrap();
        assert_eq!(found, ["192.0.2.0", "192.0.2.1"]);
        let error = find(&server, HERE, "empty.example").unwrap_err();
        let problem = match tcp {
            Tcp::Silent => "no answer",
            Tcp::Forged => "it answers something else",
            _ => "unexpected end of file",
        };
        let expected = format!(
            "name server 127.0.0.1, asked for empty.example: over TCP, as the answer is long: {problem}"
        );
        assert_eq!(error.to_string(), expected);
    }
}

/// A systemd-resolved that answers one call with `reply`; gives what it was asked.
fn resolved(socket: &Path, reply: &'static str) -> std::thread::JoinHandle<String> {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut call = Vec::new();
        BufReader::new(&stream).read_until(0, &mut call).unwrap();
        stream.write_all(reply.as_bytes()).unwrap();
        stream.write_all(b"\0").unwrap();
        String::from_utf8(call).unwrap()
    })
}

#[test]
fn systemd_resolved_is_asked_first_and_getent_where_it_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let getent = dir.path().join("getent");
    let script = "#!/bin/sh\ntest \"$*\" = 'ahosts known.example' || exit 2\n\
                  printf '192.0.2.9 STREAM known.example\\n192.0.2.9 DGRAM\\n2001:db8::9 STREAM\\n'\n";
    fs_err::write(&getent, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&getent, mode).unwrap();
    let find = |socket: &str, host: &str| {
        let resolver = Resolver {
            resolved: dir.path().join(socket),
            getent: getent.to_str().unwrap().to_owned(),
            ..nobody()
        };
        let found = resolver.addresses(host)?;
        Ok::<_, io::Error>(found.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let reply = r#"{"parameters":{"addresses":[{"ifindex":2,"family":2,"address":[127,0,0,7]}],"name":"known.example","flags":1}}"#;
    let asked = resolved(&dir.path().join("good"), reply);
    assert_eq!(find("good", "known.example").unwrap(), ["127.0.0.7"]);
    assert_eq!(
        asked.join().unwrap(),
        "{\"method\":\"io.systemd.Resolve.ResolveHostname\",\"parameters\":{\"name\":\"known.example\"}}\0"
    );
    let reply = r#"{"error":"io.systemd.Resolve.NoNameServers","parameters":{}}"#;
    let asked = resolved(&dir.path().join("bad"), reply);
    let found = find("bad", "known.example").unwrap();
    assert_eq!(found, ["192.0.2.9", "2001:db8::9"]);
    asked.join().unwrap();
    // What getent does not find, nobody else is asked for.
    let error = find("none", "other.example").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
