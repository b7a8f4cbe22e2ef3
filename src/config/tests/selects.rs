//! SELECTs over snapshot tables: which of them can run group by group, and the positions of the errors of the others.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::config::query::select::{Select, freeze_now, plan_select, plan_view};
use crate::config::resolve::from_text;
use crate::error::Result;

const HEAD: &str = "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2013-12-31T23:59:59Z';
SET snaplake.staging = '/s'; SET snaplake.datalake = '/l';
CREATE EXTERNAL TABLE snapshot.flights STORED AS PARQUET LOCATION '/f';
CREATE EXTERNAL TABLE snapshot.airlines STORED AS PARQUET LOCATION '/a';
";

fn state() -> SessionContext {
    let config = SessionConfig::new().set_bool("datafusion.sql_parser.collect_spans", true);
    let context = SessionContext::new_with_config(config);
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let tags = DataType::new_list(DataType::Utf8, true);
    let flights = [
        field("carrier", DataType::Utf8),
        field("dep_delay", DataType::Float64),
        field("flight", DataType::Int32),
        field("tags", tags),
        field("Year", DataType::Int16),
    ];
    let airlines = [field("carrier", DataType::Utf8), field("name", DataType::Utf8)];
    let tables = [("flights", flights.to_vec()), ("airlines", airlines.to_vec())];
    for schema in ["snapshot", "staging"] {
        let provider = MemorySchemaProvider::new();
        for (name, fields) in &tables {
            let schema = Arc::new(Schema::new(fields.clone()));
            let empty = MemTable::try_new(Arc::clone(&schema), vec![vec![RecordBatch::new_empty(schema)]]).unwrap();
            provider.register_table((*name).to_owned(), Arc::new(empty)).unwrap();
        }
        context.catalog("datafusion").unwrap().register_schema(schema, Arc::new(provider)).unwrap();
    }
    context
}

async fn plan_text(text: &str) -> Result<Select> {
    let context = state();
    let project = from_text(text)?;
    for view in &project.views {
        let plan = plan_view(&context.state(), &project, view).await?;
        context.register_table(view.name.as_str(), Arc::new(ViewTable::new(plan, None)))?;
    }
    plan_select(&context.state(), &project, &project.lakes[0]).await
}

async fn plan(with: &str, select: &str) -> Result<Select> {
    plan_text(&format!("{HEAD}CREATE TABLE lake.flights WITH ({with}) AS\n{select}")).await
}

async fn reported(with: &str, select: &str) -> String {
    match plan(with, select).await {
        Ok(found) => format!("driven by {}, reads whole {:?}", found.driving, found.reads_whole),
        Err(error) => error.to_string(),
    }
}

async fn reported_all(with: &str, selects: &[&str]) -> String {
    let mut all = Vec::new();
    for select in selects {
        all.push(reported(with, select).await);
    }
    all.join("\n")
}

#[tokio::test]
async fn row_wise_selects_name_their_driving_table() {
    let reported = reported_all(
        "",
        &[
            "SELECT * FROM snapshot.flights WHERE flight > 1",
            "SELECT flight, unnest(tags) AS tag FROM snapshot.flights",
            "SELECT f.flight, a.name FROM snapshot.airlines a JOIN snapshot.flights f ON a.carrier = f.carrier",
            "SELECT f.flight, a.name FROM snapshot.flights f LEFT JOIN snapshot.airlines a USING (carrier)",
            "SELECT f.flight, a.name FROM snapshot.airlines a RIGHT JOIN snapshot.flights f USING (carrier)",
            "SELECT a.name FROM snapshot.airlines a LEFT JOIN snapshot.flights f USING (carrier)",
            "SELECT f.* FROM snapshot.flights f LEFT ANTI JOIN snapshot.airlines a ON a.carrier = f.carrier",
            "SELECT f.flight, a.name FROM snapshot.flights f, snapshot.airlines a",
            "SELECT * FROM snapshot.flights WHERE carrier IN (SELECT max(carrier) FROM snapshot.airlines GROUP BY name LIMIT 1)",
            "WITH c AS (SELECT carrier, count(*) AS n FROM snapshot.airlines GROUP BY 1), d AS (SELECT * FROM snapshot.flights) SELECT d.flight, c.n FROM d JOIN c ON c.carrier = d.carrier",
            "SELECT a.name FROM snapshot.airlines a",
            "SELECT f.flight, t.tag FROM snapshot.flights f CROSS JOIN UNNEST(f.tags) AS t(tag)",
            "SELECT f.flight, l.name FROM snapshot.flights f, LATERAL (SELECT name FROM snapshot.airlines a WHERE a.carrier = f.carrier) l",
            "SELECT flight FROM snapshot.flights DISTRIBUTE BY flight",
            "SELECT flight, now() AS at, n FROM snapshot.flights CROSS JOIN generate_series(1, 3) AS s(n)",
        ],
    )
    .await;
    insta::assert_snapshot!(reported, @r#"
    driven by flights, reads whole []
    driven by flights, reads whole []
    driven by flights, reads whole ["airlines"]
    driven by flights, reads whole ["airlines"]
    driven by flights, reads whole ["airlines"]
    driven by airlines, reads whole ["flights"]
    driven by flights, reads whole ["airlines"]
    driven by flights, reads whole ["airlines"]
    driven by flights, reads whole ["airlines"]
    driven by flights, reads whole ["airlines"]
    driven by airlines, reads whole []
    driven by flights, reads whole []
    driven by flights, reads whole ["airlines"]
    driven by flights, reads whole []
    driven by flights, reads whole []
    "#);
}

#[tokio::test]
async fn selects_over_several_rows_are_refused_with_their_clause() {
    let reported = reported_all(
        "",
        &[
            "SELECT carrier, count(*) AS n FROM snapshot.flights GROUP BY carrier",
            "SELECT max(flight) AS n FROM snapshot.flights",
            "SELECT DISTINCT carrier FROM snapshot.flights",
            "SELECT DISTINCT ON (carrier) carrier, flight FROM snapshot.flights",
            "SELECT * FROM snapshot.flights LIMIT 5",
            "SELECT * FROM snapshot.flights ORDER BY flight LIMIT 5",
            "SELECT * FROM snapshot.flights OFFSET 5",
            "SELECT * FROM snapshot.flights ORDER BY flight",
            "SELECT flight, row_number() OVER (ORDER BY flight) AS n FROM snapshot.flights",
            "SELECT carrier FROM snapshot.flights UNION ALL SELECT carrier FROM snapshot.airlines",
            "SELECT carrier FROM snapshot.flights UNION SELECT carrier FROM snapshot.airlines",
            "SELECT carrier FROM snapshot.flights INTERSECT SELECT carrier FROM snapshot.airlines",
            "SELECT carrier FROM snapshot.flights EXCEPT ALL SELECT carrier FROM snapshot.airlines",
            "SELECT f.flight FROM snapshot.flights f FULL JOIN snapshot.airlines a USING (carrier)",
            "SELECT f.flight FROM (SELECT DISTINCT name FROM snapshot.airlines) a LEFT JOIN snapshot.flights f ON a.name = f.carrier",
            "SELECT f.flight FROM snapshot.flights f JOIN snapshot.flights g ON f.flight = g.flight",
            "SELECT flight FROM snapshot.flights WHERE dep_delay > (SELECT avg(dep_delay) FROM snapshot.flights)",
            "SELECT 1 AS one",
            "SELECT flight FROM staging.flights",
        ],
    )
    .await;
    let way_out = "; a row-wise SELECT runs once per file group. To run it once over all files, \
                   write WITH (file_group_size = 'all')";
    let reported = reported.replace(way_out, "; ...");
    insta::assert_snapshot!(reported, @"
    a.sql:6:1: the SELECT of lake.flights is not row-wise: GROUP BY
    a.sql:6:1: the SELECT of lake.flights is not row-wise: aggregate function max()
    a.sql:6:1: the SELECT of lake.flights is not row-wise: DISTINCT
    a.sql:6:1: the SELECT of lake.flights is not row-wise: DISTINCT ON
    a.sql:6:1: the SELECT of lake.flights is not row-wise: LIMIT
    a.sql:6:1: the SELECT of lake.flights is not row-wise: LIMIT
    a.sql:6:1: the SELECT of lake.flights is not row-wise: OFFSET
    a.sql:6:1: the SELECT of lake.flights is not row-wise: ORDER BY (use sorted_by instead)
    a.sql:6:1: the SELECT of lake.flights is not row-wise: window function row_number()
    a.sql:6:1: the SELECT of lake.flights is not row-wise: UNION
    a.sql:6:1: the SELECT of lake.flights is not row-wise: UNION
    a.sql:6:1: the SELECT of lake.flights is not row-wise: INTERSECT
    a.sql:6:1: the SELECT of lake.flights is not row-wise: EXCEPT
    a.sql:6:1: the SELECT of lake.flights is not row-wise: FULL JOIN
    a.sql:6:1: the SELECT of lake.flights is not row-wise: snapshot.flights is on the right side of a LEFT JOIN
    a.sql:6:1: the SELECT of lake.flights is not row-wise: snapshot.flights is read twice
    a.sql:6:1: the SELECT of lake.flights is not row-wise: snapshot.flights is read twice
    a.sql:6:1: the SELECT of lake.flights reads no snapshot table
    a.sql:6:1: the SELECT of lake.flights reads staging.flights, which is not a snapshot table
    ");
}

#[tokio::test]
async fn one_group_of_all_files_allows_every_clause() {
    let reported = reported_all(
        "file_group_size = 'all'",
        &[
            "SELECT carrier, count(*) AS n FROM snapshot.flights GROUP BY carrier ORDER BY n LIMIT 5",
            "SELECT a.name FROM snapshot.airlines a FULL JOIN snapshot.flights f USING (carrier)",
            "SELECT a.name FROM snapshot.airlines a JOIN snapshot.airlines b USING (carrier)",
            "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM snapshot.airlines)",
        ],
    )
    .await;
    insta::assert_snapshot!(reported, @r#"
    driven by flights, reads whole []
    driven by flights, reads whole ["airlines"]
    driven by airlines, reads whole []
    driven by airlines, reads whole []
    "#);
}

#[tokio::test]
async fn planner_errors_stand_at_the_word_at_fault() {
    let reported = reported_all(
        "",
        &[
            "SELECT flight,\n  carier FROM snapshot.flights",
            "SELECT f.flihgt FROM snapshot.flights f",
            "SELECT year FROM snapshot.flights",
            "SELECT flight\n FROM snapshot.flihgts",
            "SELECT flight FROM flights",
            "SELECT flight FROM unheard_of",
            "SELECT uppper(carrier) AS c FROM snapshot.flights",
            "SELECT carrier FROM snapshot.flights f JOIN snapshot.airlines a ON f.carrier = a.carrier",
            "SELECT carrier, flight FROM snapshot.flights GROUP BY carrier",
            "SELECT sqrt(tags) AS s FROM snapshot.flights",
            "SELECT flight FROM snapshot.flights WHERE tags > 1",
            "SELECT flight,\n random() AS r FROM snapshot.flights",
            "SELECT flight FROM snapshot.flights WHERE carrier IN (SELECT carrier FROM snapshot.airlines WHERE UUID() > 'a')",
        ],
    )
    .await;
    insta::assert_snapshot!(reported, @r#"
    a.sql:7:3: column 'carier' does not exist; did you mean 'carrier'?
    a.sql:6:8: column 'f.flihgt' does not exist; did you mean 'f.flight'?
    a.sql:6:8: column 'year' does not exist; did you mean '"Year"'?
    a.sql:7:7: table 'snapshot.flihgts' does not exist; did you mean 'snapshot.flights'?
    a.sql:6:20: table 'flights' does not exist; did you mean 'snapshot.flights'?
    a.sql:6:20: table 'unheard_of' does not exist
    a.sql:6:8: function 'uppper' does not exist; did you mean 'upper'?
    a.sql:6:8: column 'carrier' is ambiguous
    a.sql:6:17: 'snapshot.flights.flight' must appear in GROUP BY clause because it's not an aggregate expression; either add 'snapshot.flights.flight' to GROUP BY clause, or use an aggregate function like ANY_VALUE(snapshot.flights.flight)
    a.sql:6:1: there is no function sqrt(VARCHAR[]); check the types of its arguments
    a.sql:6:1: these types cannot be combined: VARCHAR[] > BIGINT
    a.sql:7:2: function random() returns a different value on each run, so a retry would write different rows
    a.sql:6:99: function uuid() returns a different value on each run, so a retry would write different rows
    "#);
}

#[tokio::test]
async fn properties_must_fit_the_columns_of_the_select() {
    let mut all = Vec::new();
    for (with, select) in [
        ("partitioned_by = ARRAY['carier']", "SELECT * FROM snapshot.flights"),
        ("partitioned_by = ARRAY['carrier', 'year']", "SELECT * FROM snapshot.flights"),
        ("sorted_by = 'dep_dely DESC'", "SELECT * FROM snapshot.flights"),
        ("partitioned_by = 'dep_delay'", "SELECT * FROM snapshot.flights"),
        ("partitioned_by = 'tags'", "SELECT * FROM snapshot.flights"),
        ("partitioned_by = ARRAY['flight']", "SELECT flight FROM snapshot.flights"),
        ("", "SELECT f.carrier, a.carrier FROM snapshot.flights f JOIN snapshot.airlines a ON f.carrier = a.carrier"),
        ("", "SELECT flight, INTERVAL '1' MONTH AS i FROM snapshot.flights"),
        ("partitioned_by = '\"Year\"', sorted_by = 'carrier'", "SELECT carrier, \"Year\" FROM snapshot.flights"),
    ] {
        all.push(reported(with, select).await);
    }
    insta::assert_snapshot!(all.join("\n"), @r#"
    a.sql:5:56: partitioned_by column 'carier' is not in the SELECT of lake.flights; did you mean 'carrier'?
    a.sql:5:67: partitioned_by column 'year' is not in the SELECT of lake.flights; did you mean '"Year"'?
    a.sql:5:45: sorted_by column 'dep_dely' is not in the SELECT of lake.flights; did you mean 'dep_delay'?
    a.sql:5:50: partition column 'dep_delay' has type DOUBLE, which cannot be written as a folder name
    a.sql:5:50: partition column 'tags' has type VARCHAR[], which cannot be written as a folder name
    a.sql:5:56: all columns of lake.flights are partition columns, so its files would have no column
    a.sql:6:1: the SELECT of lake.flights has two columns named 'carrier'
    a.sql:6:25: column 'i' is an INTERVAL, for which Parquet has no type
    driven by flights, reads whole []
    "#);
}

#[tokio::test]
async fn helper_views_are_seen_through() {
    let text = |view: &str| {
        format!("{HEAD}CREATE VIEW v AS {view};\nCREATE TABLE lake.flights AS SELECT * FROM v AS w WHERE flight > 0")
    };
    let found = plan_text(&text("SELECT * FROM snapshot.flights")).await.unwrap();
    assert_eq!((found.driving.as_str(), found.plan.schema().fields().len()), ("flights", 5));
    let error = plan_text(&text("SELECT DISTINCT flight FROM snapshot.flights")).await.unwrap_err().to_string();
    assert!(error.starts_with("a.sql:6:30: the SELECT of lake.flights is not row-wise: DISTINCT"), "{error}");
    let error = plan_text(&text("SELECT flihgt FROM snapshot.flights")).await.unwrap_err().to_string();
    assert_eq!(error, "a.sql:5:25: column 'flihgt' does not exist; did you mean 'flight'?");
}

#[tokio::test]
async fn time_functions_become_literals_of_the_same_name_and_type() {
    let select = "SELECT flight, now(), current_date, CAST(current_timestamp AS DATE) AS d, current_time
FROM snapshot.flights WHERE flight > (SELECT count(*) FROM snapshot.airlines WHERE now() > TIMESTAMP '2000-01-01')";
    let plan = plan("", select).await.unwrap().plan;
    let frozen = freeze_now(plan.clone(), "2014-01-02T03:04:05Z".parse().unwrap()).unwrap();
    assert_eq!(frozen.schema(), plan.schema());
    let text = frozen.display_indent().to_string();
    assert_eq!(text.matches("now() >").count(), 0, "{text}");
    insta::assert_snapshot!(text, @r#"
    Projection: snapshot.flights.flight, TimestampNanosecond(1388631845000000000, None) AS now(), Date32("2014-01-02") AS current_date(), CAST(TimestampNanosecond(1388631845000000000, None) AS current_timestamp() AS Date32) AS d, Time64Nanosecond("11045000000000") AS current_time()
      Filter: snapshot.flights.flight > (<subquery>)
        Subquery:
          Projection: count(Int64(1)) AS count(*)
            Aggregate: groupBy=[[]], aggr=[[count(Int64(1))]]
              Filter: TimestampNanosecond(1388631845000000000, None) > CAST(Utf8("2000-01-01") AS Timestamp(ns))
                TableScan: snapshot.airlines
        TableScan: snapshot.flights
    "#);
    state().state().optimize(&frozen).unwrap();
}
