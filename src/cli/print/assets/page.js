// Builds the report from the JSON in the page. All that is not ours becomes text, never markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

// h("p", {class: "soft"}, "text", element, ...): an element.
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null));
  return element;
}

const STATES = {
  not_planned: ["not planned yet", "plain"], staging: ["staging", ""], staged: ["staged, not published", ""],
  published: ["published, not proven", ""], complete: ["complete, proven", "good"],
};

const failedTasks = (table) => table.tasks.sums.stage.failed + table.tasks.sums.publish.failed;

function badge(table) {
  const [text, kind] = STATES[table.state];
  const failed = failedTasks(table);
  const blocking = data.audits.filter((audit) => audit.state === "failed" && audit.tables.includes(table.table));
  if (table.state === "staged" && blocking.length) {
    const names = blocking.map((audit) => audit.audit).join(", ");
    return h("span", { class: "badge bad" }, `staged, not published: ${names} failed`);
  }
  return failed
    ? h("span", { class: "badge bad" }, `${text}, ${format.plural(failed, "task")} failed`)
    : h("span", { class: `badge ${kind}` }, text);
}

// Columns are [title, value of a row, class]; a value is text or an element.
function grid(columns, rows, attributes) {
  const head = columns.map(([title, , kind]) => h("th", { class: kind, scope: "col" }, title));
  const cells = (row) => columns.map(([, value, kind]) => h("td", { class: kind }, value(row) ?? "–"));
  return h("div", { class: "scroll" }, h("table", attributes,
    h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map((row) => h("tr", {}, cells(row))))));
}

// A chart that is drawn when it is seen, again when its width changes, and narrow for paper.
const drawings = [];
function chart(label, draw) {
  const box = h("div", { class: "chart", role: "img", "aria-label": label });
  const drawing = {
    box,
    width: 0,
    draw(width) {
      if (width < 1 || width === drawing.width) return;
      drawing.width = width;
      box.replaceChildren(draw(width) ?? "");
    },
  };
  drawings.push(drawing);
  new ResizeObserver(([entry]) => { if (!printing) drawing.draw(Math.floor(entry.contentRect.width)); }).observe(box);
  return box;
}

const PAPER = 660;
let printing = false;
const builders = [];
addEventListener("beforeprint", () => {
  printing = true;
  for (const build of builders) build();
  for (const details of document.querySelectorAll("details.table, details.more")) {
    details.dataset.closed = details.open ? "" : "yes";
    details.open = true;
  }
  for (const drawing of drawings) drawing.draw(PAPER);
});
addEventListener("afterprint", () => {
  printing = false;
  for (const details of document.querySelectorAll("details[data-closed=yes]")) details.open = false;
  for (const drawing of drawings) drawing.draw(Math.floor(drawing.box.clientWidth));
});

// ---------------------------------------------------------------------------------------------------------- the head

function head() {
  const { tables, audits } = data;
  const complete = tables.filter((table) => table.state === "complete").length;
  const sum = (value) => tables.reduce((all, table) => all + (value(table) ?? 0), 0);
  const passed = audits.filter((audit) => audit.state === "passed").length;
  const tile = (value, text) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, text));
  return [
    h("h1", {}, data.database),
    h("p", { class: "facts" },
      h("span", {}, `snapshot of ${format.time(data.snapshot_time)}`),
      h("span", {}, `report of ${format.time(data.generated_at)}`),
      h("span", {}, `snaplake ${data.snaplake}`)),
    h("div", { class: "tiles" },
      tile(`${complete} of ${tables.length}`, "tables complete and proven"),
      tile(format.count(sum((table) => table.hops.lake.rows)), "rows in the lake"),
      tile(format.bytes(sum((table) => table.hops.lake.bytes)),
        `in ${format.plural(sum((table) => table.hops.lake.files), "lake file")}`),
      audits.length
        ? tile(`${passed} of ${audits.length}`, "audits passed")
        : tile("none", "audits are declared")),
    tables.length > 1 ? overview() : null,
  ];
}

function overview() {
  const rows = (hop) => format.count(hop.rows);
  return h("div", { class: "card" }, h("h3", {}, "Tables"), grid([
    ["table", (table) => h("a", { href: `#${anchor(table)}` }, table.table), "value name"],
    ["state", badge],
    ["snapshot rows", (table) => format.count(snapshotRows(table)), "num"],
    ["lake rows", (table) => rows(table.hops.lake), "num"],
    ["snapshot", (table) => format.bytes(table.hops.snapshot.bytes), "num"],
    ["lake", (table) => format.bytes(table.hops.lake.bytes), "num"],
    ["files before", (table) => format.count(table.hops.snapshot.files), "num"],
    ["after", (table) => format.count(table.hops.lake.files), "num"],
    ["task time", (table) => format.seconds(table.tasks.sums.stage.seconds + table.tasks.sums.publish.seconds), "num"],
  ], data.tables));
}

const anchor = (table) => `table-${data.tables.indexOf(table)}`;

// Text files are only counted when they are read.
const isStaged = (table) => table.tasks.sums.stage.done === table.tasks.sums.stage.total;
const snapshotRows = (table) => table.hops.snapshot.rows ?? (isStaged(table) ? table.hops.rows_read : null);

// ------------------------------------------------------------------------------------------------------- one table

function section(table) {
  const details = h("details", { class: "table", id: anchor(table), open: data.tables.length <= 3 || table === data.tables[0] },
    h("summary", {}, h("h2", {}, table.table), badge(table)));
  let isBuilt = false;
  const build = () => {
    if (isBuilt) return;
    isBuilt = true;
    details.append(facts(table), hops(table), ...[failures, sizes, partitions, tasks, columns, lineage]
      .map((part) => part(table)).filter((part) => part));
  };
  if (details.open) build();
  details.addEventListener("toggle", () => { if (details.open) build(); });
  builders.push(build);
  return details;
}

function facts(table) {
  const list = (names) => (names.length ? names.join(", ") : "nothing");
  return h("div", { class: "facts" },
    h("span", {}, "lake ", h("span", { class: "mono" }, table.location)),
    h("span", {}, `partitioned by ${list(table.partitioned_by)}`),
    h("span", {}, `sorted by ${list(table.sorted_by)}`),
    table.planned_at ? h("span", {}, `planned ${format.time(table.planned_at)}`) : null,
    h("span", {}, "plan ", h("span", { class: "mono" }, table.plan)));
}

function hops(table) {
  const { snapshot, staging, lake, rows_read: read, rows_selected: selected } = table.hops;
  const box = (kind, title, rows, hop) => h("div", { class: `hop ${kind}` },
    h("span", { class: "hopname" }, title),
    h("b", {}, hop.files || kind === "snapshot" ? (rows == null ? "not counted" : format.plural(rows, "row")) : "–"),
    h("span", { class: "soft" }, `${format.bytes(hop.bytes)} in ${format.plural(hop.files, "file")}`));
  const ratio = (from, to) => (from && to ? `${(to / from).toFixed(2)} × the bytes` : "");
  const sums = table.tasks.sums;
  const progress = ({ done, total }) => (done === total ? format.plural(total, "task") : `${format.count(done)} of ${format.plural(total, "task")}`);
  const given = read == null ? [] : selected === read
    ? ["all rows given"]
    : selected < read
      ? [h("strong", {}, `− ${format.count(read - selected)}`), ` rows (${format.share(read - selected, read)}) filtered by the SELECT`]
      : [h("strong", {}, `+ ${format.count(selected - read)}`), " rows by joins or unnest"];
  const lines = (...parts) => parts.filter((part) => part != null && part !== "").map((part) => h("div", {}, part));
  const { validation } = table;
  const proof = validation == null ? null : validation.valid
    ? h("p", { class: "proof" }, h("span", { class: "badge good" }, "proven"),
      ` ${format.count(validation.footer_rows)} rows in the footers of the lake files = rows that the SELECT gave`
      + (validation.checksums ? "; checksums of all values agree" : "")
      + (validation.deep ? ", also with what is in the files." : "."))
    : h("div", { class: "failure" }, h("strong", {}, "The lake is not what was staged."),
      validation.differences.map((difference) => h("pre", {}, difference)));
  const whole = table.sources.filter((source) => source.role === "whole");
  const leftOut = table.sources.flatMap((source) => (source.left_out ?? []).map((left) =>
    `snapshot.${source.table}: ${format.plural(left.files, "file")} ${left.reason.replace("_", " ")} (${left.examples.map((uri) => uri.split("/").pop()).join(", ")})`));
  return h("div", { class: "card" },
    h("h3", {}, "From snapshot to lake"),
    h("p", { class: "soft small" }, `snapshot.${table.sources[0]?.table ?? ""}, `,
      h("span", { class: "mono" }, (table.sources[0]?.locations ?? []).join(", "))),
    h("div", { class: "hops" },
      box("snapshot", "snapshot", snapshotRows(table), snapshot),
      h("div", { class: "step" }, lines(progress(sums.stage), given.length ? h("span", {}, ...given) : null)),
      box("staging", "staging", staging.rows, staging),
      h("div", { class: "step" }, lines(sums.publish.total ? progress(sums.publish) : "not planned yet", ratio(snapshot.bytes, lake.bytes))),
      box("lake", "lake", lake.rows, lake)),
    proof,
    whole.length ? h("p", { class: "soft small" }, "Every task also reads, whole: ",
      whole.map((source) => `snapshot.${source.table} (${format.bytes(source.bytes)} in ${format.plural(source.files, "file")})`).join(", "), ".") : null,
    leftOut.length ? h("details", { class: "more" }, h("summary", {}, "Files below the locations that are not read"),
      leftOut.map((line) => h("div", { class: "soft small" }, line))) : null,
    h("details", { class: "more" }, h("summary", {}, "The SELECT"), h("pre", { class: "sql" }, table.select)));
}

function failures(table) {
  const failed = table.tasks.rows.filter((task) => task.error);
  if (!failed.length) return null;
  const MOST = 20;
  return h("div", { class: "card" }, h("h3", {}, "What failed"),
    failed.slice(0, MOST).map((task) => h("div", { class: "failure" },
      h("strong", {}, `${task.step} task ${task.group}${task.partition ? ` of ${task.partition}` : ""}`),
      ` ${task.state === "running" ? "runs again; " : ""}attempt ${task.attempts}`, h("pre", {}, task.error))),
    failedTasks(table) > MOST ? h("p", { class: "soft small" }, `and ${format.count(failedTasks(table) - MOST)} more`) : null);
}

function sizes(table) {
  const { snapshot, lake } = table.hops;
  const average = (hop) => (hop.files ? `${format.bytes(hop.bytes / hop.files)} on average` : "");
  const text = lake.files
    ? `${format.plural(snapshot.files, "snapshot file")} (${average(snapshot)}) became ${format.plural(lake.files, "lake file")} (${average(lake)}).`
      + ` The target is ${format.target(table.target_file_size)}; a partition that is smaller has one smaller file.`
    : `${format.plural(snapshot.files, "snapshot file")} (${average(snapshot)}); nothing is published yet.`;
  return h("div", { class: "card" }, h("h3", {}, "Files before and after"), h("p", { class: "soft small" }, text),
    chart(`histogram of file sizes: ${text}`, (width) => charts.sizes(table, width)));
}

function partitions(table) {
  const { partitions: all, partitioned_by: keys } = table;
  if (!keys.length || !all.total) return null;
  const largest = all.rows[0][3];
  const skew = all.median_bytes ? `, ${(largest / all.median_bytes).toFixed(1)} × the median (${format.bytes(all.median_bytes)})` : "";
  const isHeat = keys.length === 2;
  const values = (at) => new Set(all.rows.map(([row]) => row[at])).size;
  const most = isHeat ? Math.max(values(0), values(1)) > charts.MOST_VALUES : all.total > charts.MOST_BARS;
  const shown = isHeat
    ? (most ? ` Shown are the ${charts.MOST_VALUES} values of each key with the most bytes${all.rows.length < all.total ? ", of the largest partitions" : ""}.` : "")
    : (most ? ` Shown are the ${charts.MOST_BARS} largest of ${format.count(all.total)}.` : "");
  const order = isHeat || all.total <= 40 ? "" : ", the largest first";
  const text = `${format.plural(all.total, "partition")} by ${keys.join(", ")}${order}; the largest has ${format.bytes(largest)}${skew}.${shown}`
    + (table.state === "staging" ? " Not all tasks are staged yet." : "");
  return h("div", { class: "card" }, h("h3", {}, "Partitions"), h("p", { class: "soft small" }, text),
    chart(`partitions: ${text}`, (width) => (isHeat ? charts.heat(all, keys, width) : charts.bars(all, width))));
}

function tasks(table) {
  const { sums, rows } = table.tasks;
  if (!rows.length) return null;
  const timed = rows.filter((task) => task.started_at && task.seconds != null);
  const ran = sums.stage.done + sums.publish.done + failedTasks(table);
  const spilled = sums.stage.bytes_spilled + sums.publish.bytes_spilled;
  const spill = spilled
    ? `${format.plural(sums.stage.tasks_spilled + sums.publish.tasks_spilled, "task")} spilled ${format.bytes(spilled)} to disk; more memory or fewer tasks at once avoid it.`
    : "No task spilled to disk.";
  const span = timed.length ? (Math.max(...timed.map((task) => Date.parse(task.started_at) + 1000 * task.seconds))
    - Math.min(...timed.map((task) => Date.parse(task.started_at)))) / 1000 : null;
  const publish = sums.publish.total ? `, ${format.seconds(sums.publish.seconds)} in publish tasks` : "";
  const text = `${format.seconds(sums.stage.seconds)} in stage tasks${publish}`
    + `${span == null ? "" : `, ${format.seconds(span)} from first to last`}. ${spill}`
    + (timed.length && ran > charts.MOST_TASKS ? ` Shown are the ${format.count(Math.min(timed.length, charts.MOST_TASKS))} longest of ${format.plural(ran, "task")}.` : "");
  const slowest = rows.filter((task) => task.seconds != null).sort((a, b) => b.seconds - a.seconds).slice(0, 10);
  const key = (colour, name) => h("span", {}, h("i", { style: `background: var(--${colour})` }), name);
  return h("div", { class: "card" }, h("h3", {}, "Tasks"), h("p", { class: "soft small" }, text),
    timed.length ? h("div", { class: "key" }, key("second", "stage"), sums.publish.total ? key("accent", "publish") : null, failedTasks(table) ? key("bad", "failed") : null) : null,
    timed.length ? chart(`tasks in time: ${text}`, (width) => charts.timeline(rows, width)) : null,
    slowest.length ? h("h3", { style: "margin-top: 14px" }, ran > slowest.length ? `Slowest ${slowest.length} of ${format.count(ran)}` : "By time") : null,
    slowest.length ? grid([
      ["task", (task) => `${task.step} ${task.group}`, "once"],
      ...(slowest.some((task) => task.partition) ? [["partition", (task) => task.partition ?? "", "value"]] : []),
      ["time", (task) => format.seconds(task.seconds), "num"],
      ["rows read", (task) => format.count(task.rows_read), "num"],
      ["written", (task) => format.count(task.rows_written), "num"],
      ["bytes read", (task) => format.bytes(task.bytes_read), "num"],
      ["written", (task) => format.bytes(task.bytes_written), "num"],
      ["spilled", (task) => (task.bytes_spilled ? format.bytes(task.bytes_spilled) : "–"), "num"],
    ], slowest) : null);
}

function columns(table) {
  const { columns: all, distinct_sample: sample, hops: { lake, staging } } = table;
  const isPublished = ["published", "complete"].includes(table.state);
  const rows = isPublished ? lake.rows : staging.rows;
  const hasRanges = all.some((column) => column.nulls != null);
  const isPath = new Set(table.partitioned_by);
  const estimate = sample == null ? "" : sample.is_whole
    ? " Distinct values are estimated from all rows, to some percent."
    : ` Distinct values are estimated from ${format.share(sample.rows, sample.of_rows)} of the rows: there are at least about so many.`;
  const text = (hasRanges ? `Of the ${isPublished ? "lake" : "staging"} files, as their manifests say. ≈ marks bounds of long or inexact values.` : "Nothing is staged yet.") + estimate;
  const value = (column, of) => (of == null ? "–" : `${column.is_exact ? "" : "≈ "}${format.cut(of, 80)}`);
  return h("div", { class: "card long" }, h("h3", {}, "Columns"), h("p", { class: "soft small" }, text), grid([
    ["column", (column) => h("span", {}, column.name, isPath.has(column.name) ? h("span", { class: "soft" }, " · in the path") : null), "value name"],
    ["type", (column) => h("span", { class: "soft" }, column.type), "value"],
    ["NULLs", (column) => (column.nulls == null ? "–" : column.nulls === 0 ? "0" : `${format.count(column.nulls)} (${format.share(column.nulls, rows)})`), "num"],
    ["smallest", (column) => value(column, column.min), "value"],
    ["largest", (column) => value(column, column.max), "value"],
    ["distinct", (column) => (column.distinct == null ? "–" : `${sample.is_whole ? "≈" : "≥"} ${format.count(column.distinct)}`), "num"],
  ], all));
}

// --------------------------------------------------------------------------------------------------------- lineage

const HOPS = ["snapshot", "staging", "lake"];
const MOST_FILES = 200;
// Without a search, the list is only there to show what a line looks like.
const FEW_FILES = 20;

// Files of a table, and which belong together: a staging file names the stage task that wrote it and the publish task that
// reads it; those tasks name the files before and after.
function network(table) {
  const files = [];
  const byStage = { snapshot: new Map(), staging: new Map() };
  const byPublish = { staging: new Map(), lake: new Map() };
  const put = (map, key, file) => {
    if (key == null) return;
    if (!map.has(key)) map.set(key, []);
    map.get(key).push(file);
  };
  for (const hop of ["lake", "snapshot", "staging"]) {
    const { prefix, rows } = table.files[hop];
    for (const [name, bytes, count, stage, publish] of rows) {
      const file = { hop, name, bytes, rows: count, stage, publish, uri: prefix + name };
      file.text = file.uri.toLowerCase();
      files.push(file);
      if (hop !== "lake") put(byStage[hop], stage, file);
      if (hop !== "snapshot") put(byPublish[hop], publish, file);
    }
  }
  const across = (groups, key, map) => [...new Set(groups.map((file) => file[key]))].flatMap((group) => map.get(group) ?? []);
  const near = (file) => {
    const staged = file.hop === "staging" ? [file]
      : file.hop === "snapshot" ? byStage.staging.get(file.stage) ?? [] : byPublish.staging.get(file.publish) ?? [];
    return { snapshot: across(staged, "stage", byStage.snapshot), staging: staged, lake: across(staged, "publish", byPublish.lake) };
  };
  return { files, near };
}

function lineage(table) {
  const totals = HOPS.map((hop) => table.files[hop].total);
  if (!totals.some((total) => total)) return null;
  const missing = HOPS.filter((hop) => table.files[hop].rows.length < table.files[hop].total);
  const { files, near } = network(table);
  const input = h("input", { type: "search", placeholder: "part of a file name or partition, such as month=3", "aria-label": `search files of ${table.table}` });
  const count = h("span", { class: "soft small count", "aria-live": "polite" });
  const list = h("ul", { class: "files" });
  const line = (file) => [
    h("span", { class: `hopname ${file.hop}` }, file.hop),
    h("span", { class: "mono", title: file.uri }, file.name),
    h("span", { class: "num soft" }, `${file.rows == null ? "" : `${format.plural(file.rows, "row")}, `}${format.bytes(file.bytes)}`),
  ];
  const ways = (file) => {
    const found = near(file);
    const place = HOPS.indexOf(file.hop);
    const parts = HOPS.filter((hop) => hop !== file.hop).map((hop) => {
      const of = found[hop];
      const title = HOPS.indexOf(hop) < place ? `made from ${format.plural(of.length, `${hop} file`)}` : `went into ${format.plural(of.length, `${hop} file`)}`;
      return [h("h4", {}, title), h("ul", {}, of.slice(0, MOST_FILES).map((other) => h("li", {},
        h("span", { class: "mono" }, other.name), h("span", { class: "num soft" }, format.bytes(other.bytes)))),
      of.length > MOST_FILES ? h("li", { class: "soft" }, `and ${format.count(of.length - MOST_FILES)} more`) : null)];
    });
    return h("div", { class: "ways" }, h("div", { class: "mono soft" }, file.uri), parts);
  };
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter((word) => word);
    const matches = words.length ? files.filter((file) => words.every((word) => file.text.includes(word))) : files;
    const most = words.length ? MOST_FILES : FEW_FILES;
    const found = words.length ? format.plural(matches.length, "match", "matches") : format.plural(matches.length, "file");
    count.textContent = matches.length > most ? `first ${most} of ${found}` : found;
    list.replaceChildren(...matches.slice(0, most).map((file) => {
      const details = h("details", {}, h("summary", {}, line(file)));
      details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(ways(file)); });
      return h("li", {}, details);
    }));
  };
  input.addEventListener("input", show);
  show();
  const notice = missing.length ? ` This page holds ${missing.map((hop) => `${format.count(table.files[hop].rows.length)} of ${format.count(table.files[hop].total)} ${hop} files`).join(", ")}: `
    + "what is found here may be incomplete; --format json has all." : "";
  return h("div", { class: "card long lineage" }, h("h3", {}, "Lineage"),
    h("p", { class: "soft small" }, `Which files a file was made from, task by task: a lake file holds rows of some of the files that its task read. Open a line to see them.${notice}`),
    h("div", { class: "search" }, input, count), list);
}

// ----------------------------------------------------------------------------------------------------------- audits

function audits() {
  if (!data.audits.length) return null;
  const kinds = { passed: "good", failed: "bad", not_run: "plain", stale: "" };
  const names = { not_run: "not run yet", stale: "stale: runs again" };
  return h("div", { class: "card", id: "audits" }, h("h3", {}, "Audits"),
    h("p", { class: "soft small" }, "Queries over what is staged that must find no rows, or nothing is published."),
    grid([
      ["audit", (audit) => h("span", { class: "mono" }, audit.audit), "value name"],
      ["result", (audit) => h("span", { class: `badge ${kinds[audit.state]}` }, names[audit.state] ?? audit.state)],
      ["rows found", (audit) => format.count(audit.rows), "num"],
      ["time", (audit) => format.seconds(audit.seconds), "num"],
      ["when", (audit) => (audit.audited_at ? format.time(audit.audited_at) : "–"), "value"],
      ["holds back", (audit) => audit.tables.join(", "), "value"],
      ["rows kept at", (audit) => (audit.rows_at ? h("span", { class: "mono" }, audit.rows_at) : "–"), "value"],
    ], data.audits));
}

// A link to a table opens it.
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target) target.open = true;
});

document.getElementById("report").replaceChildren(
  ...head().filter((part) => part), ...[audits()].filter((part) => part), ...data.tables.map(section),
  h("footer", {}, "Everything here is what manifests say; nothing was listed or counted anew, but for the estimates of distinct values"
    + `${data.tables.some((table) => table.state === "not_planned") ? ", and for tables that are not planned: their exports were listed, and footers of Parquet files read" : ""}.`));
