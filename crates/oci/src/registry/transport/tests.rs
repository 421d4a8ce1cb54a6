use super::*;

#[test]
fn retry_after_is_seconds_or_a_date_against_the_servers_own() {
    let delay = |pairs: &[(header::HeaderName, &str)]| {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        retry_after(&headers).map(|delay| delay.as_secs())
    };
    let date = (header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
    let until = (header::RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT");
    let past = (header::RETRY_AFTER, "Sun, 06 Nov 1994 08:00:00 GMT");
    assert_eq!(delay(&[(header::RETRY_AFTER, " 7 ")]), Some(7));
    assert_eq!(delay(&[date.clone(), until.clone()]), Some(30));
    assert_eq!(delay(&[date, past]), None);
    assert_eq!(delay(&[until]), None);
    assert_eq!(delay(&[(header::RETRY_AFTER, "soon")]), None);
}

#[test]
fn ranges_are_read_as_the_rfc_writes_them() {
    let range = |first, last, total| Some(ContentRange { first, last, total });
    for (text, wanted) in [
        ("bytes 5-9/10", range(5, 9, Some(10))),
        (" bytes 5-9/* ", range(5, 9, None)),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("bytes 5-9", None),
        ("lines 5-9/10", None),
        ("bytes 5-99999999999999999999/*", None),
    ] {
        assert_eq!(ContentRange::parse(text), wanted, "{text}");
    }
}

#[test]
fn a_web_page_is_told_from_a_document_whatever_it_is_announced_as() {
    let check = |announced: &str, body: &str| {
        let announced = MediaType::parse(announced);
        let url = "https://r.example/v2/a/manifests/1?x=y";
        check_no_page(url, Some(&announced), body.as_bytes(), "a manifest")
    };
    let page = "\n<!DOCTYPE html><title>Sign in</title>";
    let error = check("text/html; charset=utf-8", page).unwrap_err();
    assert_eq!(
        error.to_string(),
        "https://r.example/v2/a/manifests/1: a web page (text/html) instead of a manifest; is this a registry? a sign-in page or proxy may answer"
    );
    assert_eq!(
        isoforge_base::error::Diagnose::class(&error),
        Class::Network
    );
    assert!(check("application/octet-stream", page).is_err());
    assert!(check("text/html", "Sign in").is_err());
    assert!(check("text/html", " {}").is_ok());
    assert!(check("application/json", "nothing").is_ok());
}

#[test]
fn error_documents_are_shown_clean_and_short() {
    let answer = parse_answer(
        br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m\nway","detail":{}},{"code":"X"}]}"#,
    );
    assert_eq!(
        answer.to_string(),
        ", the registry says DENIED: no [31m way"
    );
    let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(5000));
    assert!(parse_answer(long.as_bytes()).to_string().len() < 300);
    for text in ["<html>", r#"{"errors":[]}"#, r#"{"errors":[{"code":""}]}"#] {
        assert_eq!(parse_answer(text.as_bytes()), Answer::default(), "{text}");
    }
}

#[test]
fn what_trickles_is_too_slow_and_what_the_reader_waits_for_is_not() {
    let second = Duration::from_secs(1);
    let mut pace = Pace::new(60 * second);
    // A byte a second is in time, each by itself.
    assert!((0..59).all(|_| pace.add(1, second)));
    assert!(!pace.add(1, second));
    // The next minute begins anew; a slow reader is not waited for.
    assert!((0..1000).all(|_| pace.add(60 * 1024, Duration::ZERO)));
    assert!(pace.add(0, 60 * second));
    assert!((0..600).all(|_| pace.add(1024, second)));
}
