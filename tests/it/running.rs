//! Running databases that cannot be reached: one error with its place, the address once, and what to do; nothing is written.
//!
//! Values of running servers are compared by tests/outside/check_exports.py.

use std::net::TcpListener;

use crate::support::Work;

fn work(kind: &str, url: &str) -> Work {
    Work::config(&format!(
        "CREATE EXTERNAL TABLE snapshot.t STORED AS {kind} LOCATION '{url}';\nCREATE TABLE lake.t AS SELECT * FROM snapshot.t;"
    ))
}

/// A port of this machine where nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn server_that_does_not_run_is_one_error_with_the_address_once_and_help() {
    for (kind, scheme) in [("POSTGRES", "postgres"), ("MYSQL", "mysql"), ("mysql", "mariadb")] {
        let place = format!("127.0.0.1:{}/shop", free_port());
        let work = work(kind, &format!("{scheme}://reader@{place}"));
        let run = work.run(&["run", "config.sql"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        for word in ["config.sql:5:", "was not exported", "Connection refused", "help: check host"] {
            assert!(run.stderr.contains(word), "{kind}: no '{word}' in {}", run.stderr);
        }
        assert_eq!(run.stderr.matches(&place).count(), 1, "{}", run.stderr);
        assert_eq!((work.paths("staging"), work.paths("lake")), (Vec::new(), Vec::new()));
    }
}

#[cfg(unix)]
#[test]
fn option_file_with_a_password_that_others_may_read_is_refused_and_not_shown() {
    use std::os::unix::fs::PermissionsExt;

    let work = work("MYSQL", "mysql://reader@127.0.0.1:1/shop?defaults-file=my.cnf")
        .file("my.cnf", "[client]\npassword=geheim\n");
    std::fs::set_permissions(work.path("my.cnf"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = work.run(&["run", "config.sql"]);
    assert!(run.code == 1 && run.stderr.contains("others may read it (mode 644)"), "{}", run.stderr);
    assert!(!run.stderr.contains("geheim"), "{}", run.stderr);
}

#[test]
fn plan_before_the_export_says_that_run_makes_it() {
    let run = work("MYSQL", "mysql://reader@127.0.0.1:1/shop").run(&["plan", "config.sql"]);
    assert!(run.code != 0 && run.stderr.contains("snaplake run"), "{}", run.stderr);
}

#[test]
fn init_of_a_running_mysql_names_what_to_write_and_shows_no_password() {
    let run = work("MYSQL", "mysql://reader@127.0.0.1:1/shop").run(&[
        "init",
        "mysql://reader:geheim@127.0.0.1:1/shop",
        "-o",
        "x.sql",
    ]);
    assert!(run.code != 0 && run.stderr.contains("STORED AS MYSQL"), "{}", run.stderr);
    assert!(!run.stderr.contains("geheim"), "{}", run.stderr);
}

#[test]
fn init_of_a_postgres_that_does_not_run_has_help() {
    let url = format!("postgres://reader@127.0.0.1:{}/shop", free_port());
    let run = work("POSTGRES", &url).run(&["init", &url, "-o", "x.sql"]);
    assert!(run.code != 0 && run.stderr.contains("help: check host"), "{}", run.stderr);
}
