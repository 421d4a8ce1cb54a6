//! What is known of the cluster.

use super::*;

#[test]
fn answers_to_macros_are_quoted_paths_or_tables() {
    let sets = [
        "cluster.nodes=3",
        "cluster.macros={ \"spectro.var.site\" = \"lab\", spectro = { var = { size = 3, tls = true } } }",
    ];
    let cluster = load_files(&[("p/main.toml", MINIMAL)], &sets)
        .unwrap()
        .profile
        .cluster;
    assert_eq!(cluster.nodes, Some(3));
    let macros: Vec<String> = cluster
        .macros
        .iter()
        .map(|(path, answer)| format!("{path}={answer}"))
        .collect();
    assert_eq!(
        macros,
        [
            "spectro.var.site=lab",
            "spectro.var.size=3",
            "spectro.var.tls=true"
        ]
    );
}

#[test]
fn answers_that_can_be_none() {
    let text = format!(
        "{MINIMAL}\n[cluster]\nnodes = 0\n[cluster.macros]\n\
         \"spectro.var.a\" = 1.5\n\
         \"spectro.var.b\" = {{ env = \"SECRET\" }}\n\
         \"spectro.var.c\" = [\"x\"]\n\
         \"spectro.var.d\" = \"{{{{ .spectro.var.a }}}}\"\n\
         \".spectro.var.e\" = \"x\"\n\
         \"var.f\" = \"x\"\n\
         \"spectro.system.kubernetes.version\" = \"1.0.0\"\n\
         \"spectro.var.g\" = \"x\"\n\
         spectro.var.g = \"y\"\n"
    );
    assert_snapshot!(problems_of(&text), @r#"
    error: 'cluster.nodes' can't be 0
      --> p/main.toml:21:9
       |
    21 | nodes = 0
       |         ^
       = expected an integer from 1 to 5000

    error: a float can't be the answer to a macro
      --> p/main.toml:23:19
       |
    23 | "spectro.var.a" = 1.5
       |                   ^^^
       = expected text, an integer, or true or false

    error: a secret can't be the answer to a macro
      --> p/main.toml:24:19
       |
    24 | "spectro.var.b" = { env = "SECRET" }
       |                   ^^^^^^^^^^^^^^^^^^
       = expected text, an integer, or true or false
       = help: leave it out: the cluster definition lists the macro as unanswered, and it is filled where the cluster is made

    error: an array can't be the answer to a macro
      --> p/main.toml:25:19
       |
    25 | "spectro.var.c" = ["x"]
       |                   ^^^^^
       = expected text, an integer, or true or false

    error: the answer to 'spectro.var.d' has a macro or template in it
      --> p/main.toml:26:19
       |
    26 | "spectro.var.d" = "{{ .spectro.var.a }}"
       |                   ^^^^^^^^^^^^^^^^^^^^^^
       = expected text that is filled in as it is

    error: '.spectro.var.e' is not the path of a macro
      --> p/main.toml:27:20
       |
    27 | ".spectro.var.e" = "x"
       |                    ^^^
       = expected letters, digits, '_' and '-' with dots between them, such as spectro.var.site
       = help: write 'spectro.var.e'

    error: 'var.f' is not the path of a macro
      --> p/main.toml:28:11
       |
    28 | "var.f" = "x"
       |           ^^^
       = expected letters, digits, '_' and '-' with dots between them, such as spectro.var.site

    error: 'spectro.system.kubernetes.version' is answered by the version of Kubernetes itself
      --> p/main.toml:29:39
       |
    29 | "spectro.system.kubernetes.version" = "1.0.0"
       |                                       ^^^^^^^
       = expected another macro

    error: two answers to the macro 'spectro.var.g'
      --> p/main.toml:30:19
       |
    30 | "spectro.var.g" = "x"
       |                   ^^^
       = expected each path once, quoted or as tables

    9 problems in the profile
    "#);
}
