//! The report: its data at any time, its page with hostile names, its OpenLineage events, and what it costs in requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use insta::assert_snapshot;
use regex::Regex;
use serde_json::Value;

use crate::support::proxy::{Proxy, Weather};
use crate::support::s3_server::{Etags, Server};
use crate::support::{EVENTS, Run, Work, events, program};

/// The report as JSON.
fn report(work: &Work, arguments: &[&str]) -> Value {
    let run = work.snaplake(&[&["report", "--format", "json"], arguments].concat()).ok();
    serde_json::from_str(&run.stdout).unwrap()
}

/// Without what differs from run to run.
fn masked(text: &str) -> String {
    let masks = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r#"("seconds": )[0-9.e-]+"#, "$1[s]"),
        (r#"("[a-z_]*bytes(_written|_read)?": )[0-9]{3,}"#, "$1[bytes]"),
        ("[0-9a-f]{32}", "[hash]"),
        ("-[0-9a-f]{12}-", "-[hash]-"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[uuid]"),
        (r#"("size": )[0-9]{3,}"#, "$1[bytes]"),
    ];
    masks.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned()
    })
}

/// Two tables with an audit; one is partitioned.
fn shop() -> Work {
    Work::config(
        "CREATE EXTERNAL TABLE snapshot.orders STORED AS CSV LOCATION 'export/orders/';
CREATE TABLE lake.orders WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id DESC'], not_null = ARRAY['id'],
file_group_size = 1) AS SELECT id, day FROM snapshot.orders WHERE id < 4;",
    )
    .file("export/orders/a.csv", "id,day\n1,mon\n2,tue\n")
    .file("export/orders/b.csv", "id,day\n3,\n4,mon\n")
}

#[test]
fn json_of_a_small_lake_is_as_the_readme_says() {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 0);
    let outcome = project.run(&["report", "config.sql", "--format", "json"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_snapshot!("report_json", masked(&outcome.stdout));
}

#[test]
fn shipped_data_arrives_in_the_report_as_its_tasks_counted_it() {
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("{name}={}", out.path().join(name).display());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/nycflights13.sql");
    let page = out.path().join("report.html");
    let snaplake = |arguments: &[&str]| -> Run {
        let (staging, datalake) = (at("staging"), at("datalake"));
        let mut command = program();
        command.arg(arguments[0]).arg(&config).args(&arguments[1..]).args(["--var", &staging, "--var", &datalake]);
        Run::from(command.output().unwrap()).ok()
    };
    snaplake(&["run"]);
    let report: Value = serde_json::from_str(&snaplake(&["report", "--format", "json"]).stdout).unwrap();
    let flights = report["tables"].as_array().unwrap().iter().find(|table| table["table"] == "flights").unwrap();
    assert_eq!(flights["state"], "complete");
    assert_eq!([&flights["hops"]["rows_read"], &flights["hops"]["lake"]["rows"]], [336_776, 336_776]);
    assert_eq!(flights["validation"]["footer_rows"], 336_776);
    // Real counts, by other tools: 16 carriers, 105 destinations, 8,255 flights that never left.
    let column =
        |name: &str| flights["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap();
    assert_eq!(column("dep_time")["nulls"], 8_255);
    assert_eq!([&column("month")["min"], &column("month")["max"]], ["1", "12"]);
    let distinct = |name: &str| column(name)["distinct"].as_u64().unwrap();
    assert_eq!((distinct("month"), distinct("carrier")), (12, 16));
    assert!((102..=108).contains(&distinct("dest")), "{}", distinct("dest"));
    assert_eq!(flights["distinct_sample"]["is_whole"], true);
    // Each lake file can be followed back to a snapshot file.
    let list = |name: &str| flights[name].as_array().unwrap();
    for file in list("lake_files") {
        let staged: Vec<&Value> =
            list("staging_files").iter().filter(|staged| staged["publish_group"] == file["publish_group"]).collect();
        assert!(!staged.is_empty(), "{file}");
        for staged in staged {
            assert_eq!(staged["partition"], file["partition"]);
            assert!(list("snapshot_files").iter().any(|read| read["stage_group"] == staged["stage_group"]));
        }
    }
    let sum = |name: &str, key: &str| list(name).iter().map(|value| value[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("partitions", "rows"), sum("lake_files", "rows")), (336_776, 336_776));
    assert!(list("tasks").iter().all(|task| task["state"] == "done" && task["started_at"].is_string()));
    let reported = snaplake(&["report", "-o", page.to_str().unwrap()]);
    assert_eq!((reported.stdout.as_str(), reported.stderr.contains("wrote ")), ("", true));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<title>nycflights13: airlines, airports, flights, planes, weather</title>"));
    assert_eq!(page, snaplake(&["report"]).stdout.replace(&time(&snaplake(&["report"]).stdout), &time(&page)));
}

/// When a page was made.
fn time(page: &str) -> String {
    Regex::new(r#""generated_at":"[^"]*""#).unwrap().find(page).unwrap().as_str().to_owned()
}

#[test]
fn report_can_be_written_before_staging_half_way_and_after_a_failure() {
    let work = Work::new(EVENTS);
    work.write("export/part-0.csv", &events(0, 30));
    work.write("export/part-1.csv", &events(30, 30));
    let state = |report: &Value| report["tables"][0]["state"].as_str().unwrap().to_owned();
    let states = |report: &Value| -> Vec<String> {
        let tasks = report["tables"][0]["tasks"].as_array().unwrap();
        tasks.iter().map(|task| format!("{} {}", task["step"], task["state"]).replace('"', "")).collect()
    };
    let before = report(&work, &[]);
    assert_eq!((state(&before), states(&before)), ("not_planned".to_owned(), vec!["stage open".to_owned(); 2]));
    assert!(work.files("out").is_empty(), "a report writes nothing");
    assert!(work.snaplake(&["report"]).ok().stdout.contains("not_planned"));

    work.snaplake(&["stage", "--table", "events", "--group", "1"]).ok();
    // What is planned is there no more when it is to be read.
    work.write("export/part-1.csv", "id,day,note\nnone,2026-01-01,x\n");
    work.snaplake(&["stage", "-q"]).failed(1, &["part-1.csv"]);
    let half = report(&work, &[]);
    assert_eq!(
        (state(&half), states(&half)),
        ("staging".to_owned(), ["stage done", "stage failed"].map(str::to_owned).to_vec())
    );
    let failed = &half["tables"][0]["tasks"][1];
    assert_eq!(failed["attempts"], 1);
    assert!(failed["error"].as_str().unwrap().contains("part-1.csv") && failed["started_at"].is_string(), "{failed}");
    assert_eq!(half["tables"][0]["hops"]["lake"]["files"], 0);
    assert_eq!(half["tables"][0]["distinct_sample"], Value::Null);
    let day = &half["tables"][0]["columns"][1];
    assert_eq!(
        (day["name"].as_str(), day["min"].as_str(), day["nulls"].as_u64()),
        (Some("day"), Some("2026-01-01"), Some(0))
    );

    work.write("export/part-1.csv", &events(30, 30));
    work.snaplake(&["run", "-q", "--replan"]).ok();
    let lake = glob::glob(work.path("out/lake/**/*.parquet").to_str().unwrap()).unwrap();
    lake.for_each(|file| std::fs::remove_file(file.unwrap()).unwrap());
    let run = work.snaplake(&["report"]).ok();
    assert!(run.stderr.contains("left out the estimates of distinct values"), "{}", run.stderr);
    let all = report(&work, &["--no-distinct"]);
    // Its files are gone.
    assert_eq!(state(&all), "published");
    assert!(states(&all).iter().all(|state| state.ends_with("done")), "{:?}", states(&all));
    assert_eq!([&all["tables"][0]["columns"][0]["distinct"], &all["tables"][0]["distinct_sample"]], [&Value::Null; 2]);
}

#[test]
fn hostile_names_and_values_stay_text_in_the_page() {
    let evil = "</script><script>alert(1)<!--<script>";
    let work = Work::new(&format!(
        "CREATE EXTERNAL TABLE snapshot.t STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
         CREATE TABLE lake.\"a&b<c>\" WITH (partitioned_by = ARRAY['k']) AS
         SELECT id AS \"{evil}\", k, k AS v FROM snapshot.t;"
    ));
    work.write("export/<img src=x onerror=alert(1)>.csv", &format!("id,k\n1,{evil}\n2,&amp;\n"));
    work.snaplake(&["run", "-q"]).ok();
    let page = work.snaplake(&["report"]).ok().stdout;
    assert_eq!(page.matches("<script").count(), 5, "data, two libraries, charts, and the page's own");
    assert_eq!(page.matches("</script").count(), 5);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    assert!(page.contains("<title>shop: a&amp;b&lt;c&gt;</title>"));
    let (_, data) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["tables"][0]["columns"][0]["name"], evil);
    assert!(data["tables"][0]["partitions"]["rows"].to_string().contains("</script>"), "the value is there, as text");
}

#[test]
fn page_goes_to_a_file_whole_or_not_at_all() {
    let work = Work::events(1, 3);
    work.write("report.html", "before");
    work.snaplake(&["report", "-o", "nowhere/report.html"]).failed(1, &["nowhere/report.html"]);
    let path = work.path("report.html").to_string_lossy().into_owned();
    // The snapshot is gone: nothing is written.
    work.snaplake(&["report", "-o", &path, "--var", "export=gone"]).failed(1, &["gone"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    work.snaplake(&["report", "-o", &path, "-q"]).ok();
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("</html>\n"));
    let work_files = std::fs::read_dir(work.path("")).unwrap().count();
    assert_eq!(work_files, 3, "the config, the export, the report: no temporary file");
}

const TAKEN: &str = "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A server that takes as many events as it is reported to, and refuses the next; what it was sent can be received.
fn endpoint(takes: usize) -> (String, Receiver<(String, String)>) {
    // As some gateways do, it tells back what it was sent.
    endpoint_that(
        move |number, head| {
            if number < takes { TAKEN.to_owned() } else { refusal(&format!("no such job\r\n{head}")) }
        },
    )
}

fn refusal(text: &str) -> String {
    let length = text.len();
    format!("HTTP/1.1 422 Unprocessable\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}")
}

/// A server that answers each request by its number, from 0, and its head; heads and bodies can be received.
fn endpoint_that(answer: impl Fn(usize, &str) -> String + Send + 'static) -> (String, Receiver<(String, String)>) {
    let (sender, receiver) = channel();
    let url = endpoint_with(move |number, head, body, socket| {
        let answer = answer(number, &head);
        sender.send((head, body)).unwrap();
        let _ = socket.write_all(answer.as_bytes());
        // Who has read enough closes.
        let _ = socket.read_to_end(&mut Vec::new());
    });
    (url, receiver)
}

/// A server that lets `take` answer each request, by its number from 0, its head and its body.
fn endpoint_with(take: impl Fn(usize, String, String, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:hunter22@{}/api/v1/lineage", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let content_length = Regex::new(r"(?i)content-length: (\d+)").unwrap();
        for (number, socket) in listener.incoming().enumerate() {
            let mut socket = BufReader::new(socket.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && socket.read_line(&mut head).unwrap() > 0 {}
            let length = content_length.captures(&head).map_or(0, |found| found[1].parse().unwrap());
            let mut body = vec![0; length];
            socket.read_exact(&mut body).unwrap();
            take(number, head, String::from_utf8(body).unwrap(), socket.get_mut());
        }
    });
    url
}

#[test]
fn openlineage_events_are_the_same_in_a_file_and_at_an_endpoint_and_again() {
    let project = shop();
    assert_eq!(project.run(&["report", "config.sql", "--openlineage", "-"]).stdout, "", "nothing is planned");
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 0);
    let reported = project.run(&["report", "config.sql", "--openlineage", "events.ndjson"]);
    assert_eq!((reported.code, reported.stdout.as_str(), reported.stderr.as_str()), (0, "", "wrote events.ndjson\n"));
    let file = std::fs::read_to_string(project.path("events.ndjson")).unwrap();
    let folder = project.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let again = project.run(&["report", "config.sql", "--openlineage", "-"]).stdout;
    assert_eq!(file, again.replace("[dir]", &folder));
    let events: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| &event["eventType"]).collect::<Vec<_>>(), ["START", "COMPLETE"]);
    assert_eq!(events[0]["run"]["runId"], events[1]["run"]["runId"]);
    assert_eq!(events[1]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 3);
    assert_snapshot!("openlineage_complete", masked(&format!("{:#}", events[1]).replace(&folder, "[dir]")));

    let (url, taken) = endpoint(2);
    let reported = project.run(&["report", "config.sql", "--openlineage", &url]);
    assert_eq!((reported.code, reported.stderr.as_str()), (0, "sent 2 events\n"));
    let sent: Vec<String> = taken.try_iter().map(|(_, body)| body + "\n").collect();
    assert_eq!(sent.concat(), file);
}

#[test]
fn failed_run_is_reported_with_its_error() {
    let project = shop();
    assert_eq!(project.run(&["stage", "config.sql", "--table", "orders", "--group", "1"]).code, 0);
    let events = project.run(&["report", "config.sql", "--openlineage", "-"]).stdout;
    assert_eq!(events.matches(r#""eventType":"RUNNING""#).count(), 1, "{events}");
    let project = project.file("export/orders/b.csv", "id,day\n3,\n5,mon\n");
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 1);
    let events = project.run(&["report", "config.sql", "--openlineage", "-"]).stdout;
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(last["eventType"], "FAIL", "{events}");
    assert!(last["run"]["facets"]["errorMessage"]["message"].as_str().unwrap().contains("b.csv"), "{last:#}");
}

#[test]
fn endpoint_that_refuses_is_an_error_without_secrets_that_says_what_to_do() {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 0);
    let (url, taken) = endpoint(1);
    let mut command: Command = project.here(&["report", "config.sql", "--openlineage", &url]);
    let run = project.masked(&command.env("OPENLINEAGE_API_KEY", "sesame-open-sesame").output().unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(
        run.stderr.contains("sent 1 of 2 events to ")
            && run.stderr.contains("it answered 422 Unprocessable Entity no such job"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("hunter22") && !run.stderr.contains("sesame"), "{}", run.stderr);
    assert!(taken.recv().unwrap().0.to_lowercase().contains("authorization: bearer sesame-open-sesame"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = project.run(&["report", "config.sql", "--openlineage", &format!("http://{closed}/x")]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("sent 0 of 2 events") && run.stderr.contains("refused"), "{}", run.stderr);
}

/// Sends events to an endpoint, with a token; what the program says of it.
fn sent_to(url: &str) -> Run {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 0);
    let mut command = project.here(&["report", "config.sql", "--openlineage", url]);
    project.masked(&command.env("OPENLINEAGE_API_KEY", "sesame-open-sesame").output().unwrap())
}

#[test]
fn token_that_stands_where_an_answer_is_cut_is_not_reported_by_half() {
    for (filler, reported) in [("x".repeat(290), "x".repeat(290) + " ***"), ("é".repeat(146), "é".repeat(146) + " ***")]
    {
        let (url, _sent) = endpoint_that(move |_, _| refusal(&format!("{filler} sesame-open-sesame")));
        let run = sent_to(&url);
        assert!(run.code == 1 && run.stderr.contains(&format!("Entity {reported}\n")), "{}", run.stderr);
    }
}

#[test]
fn answer_that_is_long_is_reported_without_being_read_to_its_end() {
    // Far more than the buffers of both ends of a connection hold: who has sent all of it had a reader for it.
    const PARTS: usize = 512;
    let (sender, taken) = channel();
    let url = endpoint_with(move |_, _, _, socket| {
        let part = " and so on".repeat(100_000);
        let head = format!("HTTP/1.1 422 Unprocessable\r\ncontent-length: {}\r\n\r\n", 11 + PARTS * part.len());
        let _ = socket.write_all((head + "no such job").as_bytes());
        sender.send((0..PARTS).take_while(|_| socket.write_all(part.as_bytes()).is_ok()).count()).unwrap();
    });
    let run = sent_to(&url);
    assert!(run.code == 1 && run.stderr.contains("Entity no such job and so on"), "{}", run.stderr);
    let taken = taken.recv().unwrap();
    assert!(taken < PARTS, "the program has read all {PARTS} MB");
}

#[test]
fn redirect_is_an_error_that_names_the_other_address_and_loses_no_event() {
    for (status, location, reported) in [
        ("301 Moved Permanently", "http://key:hunter22@[::1]/lineage", "http://***@[::1]/lineage\n"),
        ("302 Found", "/moved", "/moved\n"),
        ("308 Permanent Redirect", "/moved", "/moved\n"),
    ] {
        let moved =
            format!("HTTP/1.1 {status}\r\nlocation: {location}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let (url, sent) = endpoint_that(move |number, _| if number == 0 { moved.clone() } else { TAKEN.to_owned() });
        let run = sent_to(&url);
        assert_eq!((run.code, sent.try_iter().count()), (1, 1), "{status}: {}", run.stderr);
        let says = format!("lineage: it answered {status}, that they belong to ");
        assert!(run.stderr.contains(&says) && run.stderr.contains(reported), "{}", run.stderr);
        assert!(!run.stderr.contains("hunter22"), "{}", run.stderr);
    }
}

#[test]
fn each_manifest_is_read_once_and_nothing_is_listed_but_summaries() {
    let requests = |files: usize| {
        let server = Server::of_process(Etags::Strong);
        let work = Work::events(files, 100);
        let run = |server: &Server, arguments: &[&str]| {
            let mut command = work.command(arguments);
            server.configure(command.args(["--var", &format!("out={}", server.url()), "--var", "group=1"]));
            Run::from(command.output().unwrap()).ok()
        };
        run(&server, &["run", "-q"]);
        let proxy = Proxy::start(&server.endpoint, usize::MAX, Weather::Reset);
        run(&Server { endpoint: proxy.endpoint.clone(), ..server.clone() }, &["report", "--no-distinct"]);
        proxy.counts().0
    };
    // A stage task more: one GET for its summary and one for its files.
    let (few, many) = (requests(2), requests(6));
    assert_eq!(many - few, 4 * 2);
    // Of the table: the plan (2 GETs, and its summary once more by the status), summaries of two steps (2 LISTs), the number
    // of publish tasks, _SUCCESS, validation, the lake's owner, place (the summary of publish group 1 once more) and content
    // (1 LIST), which is asked for twice where estimates are left out; of each of 3 partitions: what its task reads and what it wrote (4 GETs).
    assert_eq!(few, 3 + 2 + 7 + 2 * 2 + 3 * 4);
}
