use super::*;

#[test]
fn a_hash_is_what_openssl_makes_of_the_same_salt() {
    for password in [
        "x",
        "correct horse battery staple",
        "pässwörd",
        &"l".repeat(200),
    ] {
        let hash = hash_password(password).unwrap();
        let fields: Vec<&str> = hash.split('$').collect();
        assert_eq!(fields[1..3], ["6", "rounds=65536"], "{hash}");
        assert_eq!(fields[3].len(), 16);
        let out = isoforge::util::process::Program::new("openssl", "openssl")
            .args(["passwd", "-6", "-salt"])
            .arg(format!("{}${}", fields[2], fields[3]))
            .arg(password)
            .output(1000)
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap().trim(), hash);
    }
}

#[test]
fn hashes_differ_and_bad_passwords_are_refused() {
    assert_ne!(hash_password("x").unwrap(), hash_password("x").unwrap());
    for password in ["", "a\0b", &"x".repeat(513)] {
        assert!(matches!(hash_password(password), Err(Error::Password)));
    }
}
