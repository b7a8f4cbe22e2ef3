//! Credentials show nowhere: not in output, errors, logs, plans, manifests or data, whatever goes wrong.
//!
//! Each command runs with keys that no other text contains; then all that it printed and all that it wrote is searched for
//! them, as they are, in parts, percent-encoded, in base64 and in hex. The keys are really used: one server checks
//! signatures with them, another one sees them in each request and tells them back.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::support::proxy::{Proxy, Weather};
use crate::support::s3_server::{Server, UNMISTAKABLE};
use crate::support::{EVENTS, Run, SETTINGS, Work, events};

const KEY: &str = UNMISTAKABLE.0;
const SECRET: &str = UNMISTAKABLE.1;
const TOKEN: &str = "snaptokendelta//snaptokenecho+snaptokenfoxtrot==";

/// Every form of each secret that is looked for, in lower case.
fn needles() -> Vec<String> {
    let mut needles = Vec::new();
    for secret in [KEY, SECRET, TOKEN] {
        // Without what encodings change, the parts look alike in most of them.
        needles.extend(secret.split(['/', '+', '=']).filter(|part| part.len() >= 8).map(str::to_owned));
        needles.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
        for before in 0..3 {
            let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
            let text = STANDARD_NO_PAD.encode(&bytes[..bytes.len() / 3 * 3]);
            needles.push(text[4 * before.div_ceil(2)..].to_owned());
        }
    }
    needles.iter().map(|needle| needle.to_lowercase()).collect()
}

/// Fails if one of the secrets is in `bytes`.
#[track_caller]
fn search(what: &str, bytes: &[u8]) {
    if let Some(found) = find(bytes) {
        panic!("{what} shows '{found}':\n{}", String::from_utf8_lossy(bytes));
    }
}

fn find(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    needles().into_iter().find(|needle| text.contains(needle))
}

/// All subcommands, in all their forms.
const COMMANDS: [&[&str]; 26] = [
    &["plan"],
    &["plan", "-vvv", "--explain"],
    &["plan", "-v", "--explain", "--format", "json"],
    &["stage", "-vvv", "--table", "events", "--group", "1"],
    &["stage", "-vv", "--log-format", "json", "--format", "json"],
    &["status", "-vvv"],
    &["audit", "-vvv", "--format", "json"],
    &["status", "-v", "--format", "json"],
    &["publish", "-vvv", "--format", "json"],
    &["run", "-v"],
    &["run", "-vv"],
    &["run", "-vvv", "--log-format", "json", "--format", "json"],
    &["query", "-vvv", "-c", "SELECT * FROM lake.events LIMIT 2", "-c", "SELECT * FROM snapshot.events LIMIT 2"],
    &["query", "-c", "SELECT * FROM manifest.lake_files", "--format", "json"],
    &["query", "-vvv", "-c", "EXPLAIN ANALYZE VERBOSE SELECT count(*) FROM snapshot.events"],
    &["query", "-c", "EXPLAIN VERBOSE SELECT day FROM lake.events"],
    &["query", "-c", "SHOW ALL", "-c", "SELECT * FROM information_schema.df_settings"],
    &["query", "-c", "SELECT * FROM information_schema.tables", "-c", "SELECT * FROM information_schema.columns"],
    &["report", "-vvv"],
    &["report", "-v", "--format", "json"],
    &["report", "-vvv", "--openlineage", "-"],
    &["validate", "-vvv"],
    &["validate", "--deep", "-vvv", "--format", "json"],
    &["clean", "-vvv", "--older-than", "0s"],
    &["clean", "-vvv", "--remove", "--yes", "--staging", "--older-than", "0s", "--format", "json"],
    &["run", "--quiet"],
];

/// A job whose lake is proven by checksums.
fn job() -> Work {
    let tables = EVENTS.replace("WITH (", "WITH (not_null = ARRAY['id'],");
    Work::new(&format!("SET snaplake.verify = 'checksum';{tables}"))
}

/// The command, as talkative as the environment can make it.
fn loud(command: &mut Command) -> &mut Command {
    command.envs([("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")])
}

/// Runs a command and searches its output.
#[track_caller]
fn message(command: &mut Command) -> Run {
    let run = Run::from(loud(command).output().unwrap());
    for text in [&run.stdout, &run.stderr] {
        search(&format!("{command:?}"), text.as_bytes());
    }
    run
}

fn search_files(work: &Work) {
    for (path, bytes) in work.files("out") {
        search(&path, path.as_bytes());
        search(&path, &bytes);
    }
}

/// A server that tells back what it was sent, and refuses it.
fn echo() -> (Proxy, Server) {
    let proxy = Proxy::start("http://127.0.0.1:9", 1, Weather::Echo);
    let server = Server { endpoint: proxy.endpoint.clone(), ..nobody() };
    (proxy, server)
}

/// An endpoint at which nobody listens.
fn nobody() -> Server {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server {
        endpoint: format!("http://{closed}"),
        bucket: "b".to_owned(),
        prefix: "p".to_owned(),
        key: String::new(),
        secret: String::new(),
    };
    server.with_unmistakable_keys()
}

#[test]
fn every_form_of_a_secret_is_found() {
    assert_eq!(find(b"nothing to see"), None);
    for secret in [KEY, SECRET, TOKEN] {
        let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let usual = secret.replace('/', "%2F").replace('+', "%2B");
        for before in ["", "k", "ke", "key:"] {
            let basic = STANDARD_NO_PAD.encode(format!("{before}{secret}"));
            assert!(find(basic.as_bytes()).is_some(), "{basic}");
        }
        for form in [secret, &secret.to_lowercase(), &usual, &encoded.replace('%', "")] {
            assert!(find(form.as_bytes()).is_some(), "{form}");
        }
    }
    for half in [&SECRET[..SECRET.len() / 2], &TOKEN[TOKEN.len() / 2..]] {
        assert!(find(half.as_bytes()).is_some(), "{half}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn job_on_s3_shows_no_credentials_in_what_it_says_and_writes() {
    let (server, work) = (Server::of_test("secrets").with_unmistakable_keys(), job());
    let store = server.store();
    for file in 0..4 {
        let path = Path::from(format!("export/part-{file:05}.csv"));
        store.put(&path, PutPayload::from(events(file * 40, 40))).await.unwrap();
    }
    let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", server.url()));
    for arguments in COMMANDS {
        let mut command = work.command(arguments);
        server.configure(command.args(["--var", &export, "--var", &out]));
        message(&mut command).ok();
        // What `clean --staging` takes away was searched by then.
        for meta in store.list(Some(&Path::from("out"))).try_collect::<Vec<_>>().await.unwrap() {
            search("a key", meta.location.as_ref().as_bytes());
            search(meta.location.as_ref(), &store.get(&meta.location).await.unwrap().bytes().await.unwrap());
        }
    }
    let marks = store.list(Some(&Path::from("out/lake"))).try_collect::<Vec<_>>().await.unwrap();
    assert!(marks.iter().any(|meta| meta.location.as_ref().ends_with("/_SUCCESS")), "nothing was published");

    // From a profile file, whose keys the server takes as well, and from one with a mistake in it.
    let file = work.path("credentials");
    for (line, code) in [(format!("aws_secret_access_key={SECRET}"), 0), (format!("aws_secret_access_key {SECRET}"), 1)]
    {
        std::fs::write(&file, format!("[default]\naws_access_key_id={KEY}\n{line}\n")).unwrap();
        let mut command = work.command(&["status", "-vvv", "--var", &export, "--var", &out]);
        server.configure(&mut command);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let run = message(command.env("AWS_SHARED_CREDENTIALS_FILE", &file));
        assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn server_that_refuses_and_tells_back_the_request_gives_no_credentials_away() {
    let (work, (proxy, server)) = (job(), echo());
    let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", server.url()));
    for arguments in COMMANDS {
        let mut command = work.command(arguments);
        server.configure(command.args(["--var", &export, "--var", &out]).env("AWS_SESSION_TOKEN", TOKEN));
        let run = message(command.env("AWS_SESSION_TOKEN", TOKEN));
        let _ = run.failed(1, &["the credentials do not allow it"]);
    }
    let echoed = proxy.echoed();
    for part in [&format!("Credential={KEY}/"), &format!("x-amz-security-token: {TOKEN}")] {
        assert!(echoed.contains(part), "the server did not see {part}:\n{echoed}");
    }
}

#[test]
fn endpoint_that_nobody_listens_at_gives_no_credentials_away() {
    let (work, server) = (job(), nobody());
    let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", server.url()));
    // Each waits for ten retries.
    for arguments in [&["run", "-vvv"][..], &["status"], &["clean", "-vv", "--log-format", "json"]] {
        let mut command = work.command(arguments);
        server.configure(command.args(["--var", &export, "--var", &out]));
        message(command.env("AWS_SESSION_TOKEN", TOKEN)).failed(1, &["error sending request", "s3://b/p/"]);
    }
}

#[test]
fn local_job_shows_no_credentials_of_its_environment() {
    let work = job();
    for file in 0..4 {
        work.write(&format!("export/part-{file:05}.csv"), &events(file * 40, 40));
    }
    for arguments in COMMANDS {
        let mut command = work.command(arguments);
        nobody().configure(&mut command);
        message(command.env("AWS_SESSION_TOKEN", TOKEN)).ok();
        search_files(&work);
    }
    assert!(work.listing("out/lake").contains("_SUCCESS"));
}

/// URLs that hold a secret.
fn urls() -> Vec<String> {
    let signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential";
    let mut urls = Vec::new();
    for scheme in ["s3", "s3a", "gs", "az", "https"] {
        urls.push(format!("{scheme}://{KEY}:{SECRET}@bucket/x"));
        urls.push(format!("{scheme}://{}@bucket/x", SECRET.replace('/', "%2F")));
        urls.push(format!("{scheme}://{KEY}:{SECRET}"));
        urls.push(format!("{scheme}://bucket/x?{signed}={KEY}&X-Amz-Security-Token={TOKEN}"));
        urls.push(format!("{scheme}://bucket/x%3F{signed}={KEY}%26X-Amz-Security-Token%3D{TOKEN}"));
        urls.push(format!("{scheme}://bucket/x%253FX-Amz-Credential%253D{KEY}"));
        urls.push(format!("{scheme}://container/x?sv=2024-01-01&sr=c&sig={SECRET}"));
    }
    urls.push(format!("abfss://container:{SECRET}@account.dfs.core.windows.net/x"));
    urls.push(format!("abfss://container@account.dfs.core.windows.net/x?sp=r&sig={SECRET}"));
    urls.push("s3://${env:AWS_ACCESS_KEY_ID}:${env:AWS_SECRET_ACCESS_KEY}@bucket/x".to_owned());
    urls
}

#[test]
fn secret_in_a_config_is_refused_and_not_repeated() {
    let work = Work::new("");
    let lake = "CREATE TABLE lake.t AS SELECT 1 AS a FROM snapshot.t;";
    let table = "CREATE EXTERNAL TABLE snapshot.t (a INT) STORED AS CSV LOCATION";
    let good = format!("{SETTINGS}{table} 'export/'; {lake}");
    let mut texts = Vec::new();
    for url in urls() {
        texts.push(good.replace("${out:-out}/staging", &url));
        texts.push(good.replace("${out:-out}/lake", &url));
        texts.push(good.replace("'export/'", &format!("'{url}'")));
        texts.push(good.replace("AS SELECT", &format!("WITH (external_location = '{url}') AS SELECT")));
        texts.push(format!("SET snaplake.s3_endpoint = '{url}'; {good}"));
        texts.push(format!("SET snaplake.models = '{url}'; {good}"));
    }
    for set in [
        format!("SET snaplake.s3_secret_access_key = '{SECRET}';"),
        format!("SET aws.secret_access_key = '{SECRET}';"),
        format!("SET aws.secret_access_key '{SECRET}';"),
        format!("SET aws.secret_access_key = '{SECRET}' '{TOKEN}';"),
        format!("SET aws.secret_access_key = concat('{SECRET}');"),
        format!("SET aws.secret_access_key = \"{SECRET}\" x;"),
        format!("SET snaplake.s3_endpoint = 'minio:9000?secret={SECRET}';"),
        format!("CREATE SECRET s (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}');"),
        format!("CREATE SECRET '{SECRET}';"),
        format!("'{SECRET}';"),
        format!("SELECT '{SECRET}';"),
        format!("SET aws.session_token = '{TOKEN}"),
    ] {
        texts.push(format!("{good}{set}"));
    }
    texts.push(good.replace("'export/'", &format!("'export/' OPTIONS ('aws.secret_access_key' '{SECRET}')")));
    texts.push(good.replace("'export/'", &format!("'export/' OPTIONS ('aws.secret_access_key' = '{SECRET}')")));
    texts.push(good.replace("'export/'", &format!("'export/' OPTIONS ('aws.secret_access_key', '{SECRET}')")));
    texts.push(good.replace("AS SELECT", &format!("WITH (secret_access_key = '{SECRET}') AS SELECT")));
    texts.push(good.replace("AS SELECT", &format!("WITH (secret_access_key '{SECRET}') AS SELECT")));
    texts.push(good.replace("AS SELECT", &format!("WITH (secret = lower('{SECRET}')) AS SELECT")));
    for text in texts {
        assert!(
            text.contains(SECRET)
                || text.contains(TOKEN)
                || text.contains(KEY)
                || text.contains("%2F")
                || text.contains("${env:AWS")
        );
        work.write("job.sql", &text);
        let mut command = work.command(&["run", "-vvv"]);
        nobody().configure(&mut command);
        let run = message(command.env("AWS_SESSION_TOKEN", TOKEN));
        assert_eq!(run.code, 2, "{text}\n{}{}", run.stdout, run.stderr);
        // Nor when nothing else tells that it is a secret.
        if !text.contains("${env:") {
            let run = message(&mut work.command(&["run", "-vvv"]));
            assert_eq!(run.code, 2, "{text}\n{}{}", run.stdout, run.stderr);
        }
    }
    search_files(&work);
    // The same job without a secret is right: only for want of files does it fail.
    work.write("job.sql", &good);
    work.snaplake(&["run"]).failed(1, &["export"]);
}

#[test]
fn secret_in_the_environment_that_no_client_can_use_is_not_repeated() {
    let work = job();
    let (proxy, server) = echo();
    let address = server.endpoint.trim_start_matches("http://").to_owned();
    let with_keys = format!("http://{KEY}:{}@{address}", SECRET.replace('/', "%2F"));
    let try_url = |url: &str, variables: &[(&str, &str)]| {
        for part in ["export", "out"] {
            let mut command = work.command(&["run", "-vvv", "--var", &format!("{part}={url}/x")]);
            server.configure(&mut command);
            let run = message(command.env("AWS_SESSION_TOKEN", TOKEN).envs(variables.iter().copied()));
            assert!(matches!(run.code, 1 | 2), "{url} {variables:?}\n{}{}", run.stdout, run.stderr);
        }
    };
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"] {
        try_url("s3://b", &[(name, &with_keys)]);
        try_url("s3://b", &[(name, &format!("{KEY}:{SECRET}@{address}"))]);
    }
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "AWS_PROXY_URL"] {
        try_url("s3://b", &[(name, &with_keys)]);
        try_url("s3://b", &[(name, &format!("{KEY}:{SECRET}@{address}"))]);
    }
    let endpoint = server.endpoint.as_str();
    let azure =
        [("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AZURE_STORAGE_ENDPOINT", endpoint), ("AZURE_ALLOW_HTTP", "true")];
    for secret in [
        ("AZURE_STORAGE_TOKEN", TOKEN),
        ("AZURE_STORAGE_ACCOUNT_KEY", SECRET),
        ("AZURE_STORAGE_ACCOUNT_KEY", "c25hcHNlY3JldGFscGhhc25hcHNlY3JldGJyYXZv"),
        ("AZURE_STORAGE_SAS_KEY", &format!("sv=2024-01-01&sr=c&sig={}", SECRET.replace('/', "%2F"))),
        ("AZURE_STORAGE_SAS_KEY", SECRET),
        ("AZURE_STORAGE_ENDPOINT", &with_keys),
    ] {
        try_url("az://container", &[&azure[..], &[secret]].concat());
    }
    assert!(proxy.echoed().contains(&format!("Bearer {TOKEN}")), "{}", proxy.echoed());
    let key = format!("{{\"type\": \"service_account\", \"private_key\": \"{SECRET}\", \"client_email\": \"{KEY}\"}}");
    for secret in [
        ("GOOGLE_SERVICE_ACCOUNT_KEY", key.as_str()),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", SECRET),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", &key[..key.len() - 2]),
    ] {
        try_url("gs://b", &[secret]);
    }
}

#[test]
fn signed_urls_in_a_manifest_of_others_are_not_repeated() {
    let work = job();
    let (_, server) = echo();
    for url in urls() {
        let data: PathBuf = work.path("export/manifest-data.parquet");
        let file = snaplake::manifest::FileEntry {
            uri: url.as_str().into(),
            etag: "e".into(),
            size: 5,
            n_record: Some(1),
            partition: snaplake::layout::FilePartition::None,
        };
        let bytes = snaplake::manifest::codec::encode_files(&[file], "u").unwrap();
        std::fs::create_dir_all(data.parent().unwrap()).unwrap();
        std::fs::write(&data, bytes).unwrap();
        let summary = serde_json::json!({ "manifest": data, "size": 5, "n_record": 1, "fingerprint": "" });
        work.write("export/manifest-summary.json", &summary.to_string());
        let text = std::fs::read_to_string(work.path("job.sql")).unwrap();
        work.write("job.sql", &text.replace("${export:-export}/'", "export/manifest-summary.json'"));
        let mut command = work.command(&["run", "-vvv"]);
        server.configure(&mut command);
        let run = message(&mut command);
        assert!(matches!(run.code, 1 | 2), "{url}\n{}{}", run.stdout, run.stderr);
        search_files(&work);
    }
}
