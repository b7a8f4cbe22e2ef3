// Charts of the report, drawn by Observable Plot (and d3 below it). Each function gives an SVG element of a width in pixels.
// Colours are those of the style sheet, so that dark mode needs no second drawing.
"use strict";

const format = (() => {
  const whole = new Intl.NumberFormat("en-US");
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const bytes = (value) => {
    if (value == null) return "–";
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
    const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    return `${value.toFixed(digits)} ${units[unit]}`;
  };
  const count = (value) => (value == null ? "–" : whole.format(value));
  const tick = (value) => bytes(value).replace(/\.0+ /, " ");
  // As people write a target in a config.
  const target = (value) => (value % 1e6 === 0 && value < 1e12 ? `${value / 1e6} MB (${bytes(value)})` : bytes(value));
  const plural = (value, noun, nouns) => `${count(value)} ${value === 1 ? noun : nouns ?? `${noun}s`}`;
  const seconds = (value) => {
    if (value == null) return "–";
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
    if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
    return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
  };
  const share = (part, of) => {
    if (!of) return "0 %";
    const percent = (100 * part) / of;
    return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
  };
  const time = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 19)} UTC` : "–");
  const cut = (text, length) => {
    const letters = [...text];
    return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : text;
  };
  return { bytes, tick, target, count, plural, seconds, share, time, cut };
})();

const charts = (() => {
  const ground = { style: { background: "none", color: "var(--ink)", fontSize: "12px" } };
  const grid = { stroke: "var(--grid)", strokeOpacity: 1 };

  // Powers of 1024 and what lies well between them, as ticks of an axis of bytes from low to high.
  const ticks = (low, high, width) => {
    const all = [];
    for (let power = 0; power <= 60; power += 1) {
      const value = 2 ** power;
      if (value >= low && value <= high) all.push(value);
    }
    const every = Math.max(1, Math.ceil(all.length / Math.max(2, Math.floor(width / 90))));
    return all.filter((_, index) => index % every === 0);
  };

  // Ticks of an axis of bytes from 0, at whole numbers of the unit in which its end is told.
  const fromZero = (high) => {
    const unit = 1024 ** Math.max(0, Math.floor(Math.log2(high || 1) / 10));
    return d3.ticks(0, high / unit, 4).map((tick) => tick * unit);
  };

  // Files of each hop by size: bins are halves of powers of two, as [bin, files, bytes]; the target is a line. Each hop has a
  // scale of its own, and its bars their number: there may be thousands of files in one and a few in the next.
  const sizes = (table, width) => {
    const hops = ["snapshot", "staging", "lake"].filter((hop) => table.sizes[hop].length);
    const bins = hops.flatMap((hop) => {
      const most = d3.max(table.sizes[hop], ([, files]) => files);
      return table.sizes[hop].map(([bin, files, bytes]) => (
        { hop, low: 2 ** (bin / 2), high: 2 ** ((bin + 1) / 2), files, bytes, height: files / most }));
    });
    if (!bins.length) return null;
    const target = table.target_file_size;
    const low = Math.min(target, d3.min(bins, (bin) => bin.low)) / 1.5;
    const high = Math.max(target, d3.max(bins, (bin) => bin.high)) * 1.5;
    // Not at the edges, where their labels would be cut.
    const marks = ticks(low * 1.6, high / 1.6, width);
    // Where bars are narrow, only the highest has its number.
    const isWide = (width * 0.5) / Math.log2(high / low) > 30;
    const told = bins.filter((bin) => isWide || bin.height === 1);
    const colour = { snapshot: "var(--third)", staging: "var(--second)", lake: "var(--accent)" };
    return Plot.plot({
      ...ground, width, height: 34 + 84 * hops.length, marginLeft: 6, marginRight: 8, marginBottom: 24, marginTop: 4,
      x: { type: "log", base: 2, domain: [low, high], label: null, ticks: marks, tickFormat: format.tick },
      y: { axis: null, domain: [0, 1], insetTop: 34 },
      fy: { domain: hops, label: null, padding: 0.08 },
      marks: [
        Plot.gridX({ ...grid, ticks: marks }),
        Plot.rectY(bins, { fy: "hop", x1: "low", x2: "high", y: "height", fill: (bin) => colour[bin.hop], inset: 0.5,
          title: (bin) => `${bin.hop}: ${format.plural(bin.files, "file")} of ${format.bytes(bin.low)} to `
            + `${format.bytes(bin.high)}, ${format.bytes(bin.bytes)} together`, tip: true }),
        Plot.ruleX([target], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
        Plot.text([target], { x: (value) => value, fy: () => hops[0], frameAnchor: "top", dy: 4,
          text: () => `target ${format.bytes(target)}`, textAnchor: target > Math.sqrt(low * high) ? "end" : "start",
          dx: target > Math.sqrt(low * high) ? -6 : 6, fill: "var(--ink)" }),
        Plot.text(told, { fy: "hop", x: (bin) => Math.sqrt(bin.low * bin.high), y: "height", dy: -8,
          text: (bin) => format.count(bin.files), fill: "var(--soft)" }),
        Plot.axisFy({ anchor: "right", label: null, tickFormat: () => "", tickSize: 0 }),
        Plot.text(hops, { fy: (hop) => hop, frameAnchor: "top-left", dx: 0, dy: 4, text: (hop) => hop,
          fontWeight: 600, fill: (hop) => colour[hop] }),
        Plot.ruleY([0], { stroke: "var(--line)" }),
      ],
    });
  };

  // Partitions as bars, the largest first; those of the median have a line.
  const MOST_BARS = 200;
  const bars = (partitions, width) => {
    const rows = partitions.rows.slice(0, MOST_BARS).map(([values, rows, files, bytes], rank) => (
      { name: values.join(" / ") || "(all)", rank, rows, files, bytes }));
    const dense = rows.length > 40;
    const title = (row) => `${row.name}: ${format.bytes(row.bytes)}, ${format.plural(row.rows, "row")}, `
      + format.plural(row.files, "file");
    const median = partitions.median_bytes;
    if (dense) {
      return Plot.plot({
        ...ground, width, height: 200, marginLeft: 66, marginRight: 14, marginBottom: 24,
        x: { label: null, domain: [0, rows.length], ticks: 5 },
        y: { label: null, tickFormat: format.tick, ticks: fromZero(rows[0].bytes) },
        marks: [
          Plot.gridY({ ...grid, ticks: fromZero(rows[0].bytes) }),
          Plot.rectY(rows, { x1: "rank", x2: (row) => row.rank + 1, y: "bytes", fill: "var(--accent)", insetRight: 0.4,
            title, tip: true }),
          Plot.ruleY([median], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          Plot.text([median], { y: (value) => value, frameAnchor: "right", textAnchor: "end", dy: -7,
            text: () => `median ${format.bytes(median)}`, fill: "var(--ink)" }),
        ],
      });
    }
    const longest = d3.max(rows, (row) => [...row.name].length);
    const left = Math.min(width * 0.36, 18 + 7 * Math.min(longest, 40));
    const letters = Math.floor((left - 14) / 6.6);
    return Plot.plot({
      ...ground, width, height: 44 + 22 * rows.length, marginLeft: left, marginRight: 74, marginTop: 22, marginBottom: 8,
      x: { label: null, axis: null, domain: [0, d3.max(rows, (row) => row.bytes) || 1] },
      y: { label: null, domain: rows.map((row) => row.rank), tickSize: 0, padding: 0.22,
        tickFormat: (rank) => format.cut(rows[rank].name, letters) },
      marks: [
        Plot.barX(rows, { x: "bytes", y: "rank", fill: "var(--accent)", title, tip: true }),
        ...(rows.length > 2 ? [
          Plot.ruleX([median], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
          Plot.text([median], { x: (value) => value, frameAnchor: "top", dy: -14, text: () => `median ${format.bytes(median)}`,
            fill: "var(--ink)" }),
        ] : []),
        Plot.text(rows, { x: "bytes", y: "rank", text: (row) => format.bytes(row.bytes), textAnchor: "start", dx: 6,
          fill: "var(--soft)", stroke: "var(--card)", strokeWidth: 5 }),
      ],
    });
  };

  // Partitions of two keys: the darker, the more bytes. Of many values only those with the most bytes are shown.
  const MOST_VALUES = 60;
  const heat = (partitions, keys, width) => {
    const cells = partitions.rows.map(([values, rows, files, bytes]) => (
      { x: values[1], y: values[0], rows, files, bytes }));
    const most = (key) => d3.rollups(cells, (of) => d3.sum(of, (cell) => cell.bytes), (cell) => cell[key])
      .sort((a, b) => b[1] - a[1]).slice(0, MOST_VALUES).map(([value]) => value);
    const order = (a, b) => {
      if ((a === "NULL") !== (b === "NULL")) return a === "NULL" ? 1 : -1;
      const [x, y] = [Number(a), Number(b)];
      return Number.isNaN(x) || Number.isNaN(y) ? d3.ascending(a, b) : x - y;
    };
    const [xs, ys] = [most("x").sort(order), most("y").sort(order)];
    const [isX, isY] = [new Set(xs), new Set(ys)];
    const shown = cells.filter((cell) => isX.has(cell.x) && isY.has(cell.y));
    const left = Math.min(width * 0.3, 18 + 7 * Math.min(24, d3.max(ys, (y) => [...y].length)));
    const letters = Math.floor((left - 14) / 6.6);
    const room = (width - left - 10) / xs.length;
    const every = Math.max(1, Math.ceil((7 * d3.max(xs, (x) => [...x].length) + 8) / room));
    const cell = Math.max(14, Math.min(30, room));
    const largest = d3.max(shown, (of) => of.bytes);
    return Plot.plot({
      ...ground, width: Math.max(Math.min(width, left + 10 + xs.length * 64), 200), height: 50 + cell * ys.length,
      marginLeft: left, marginTop: 40, marginBottom: 8, marginRight: 10,
      x: { type: "band", domain: xs, axis: "top", label: format.cut(keys[1], 24), tickSize: 0, padding: 0.06,
        ticks: xs.filter((_, index) => index % every === 0), tickFormat: (x) => format.cut(x, 18) },
      y: { type: "band", domain: ys, label: format.cut(keys[0], 24), labelAnchor: "top", labelArrow: "none", tickSize: 0, padding: 0.06, tickFormat: (y) => format.cut(y, letters) },
      opacity: { type: "linear", domain: [0, largest], range: [0.06, 1] },
      marks: [
        Plot.cell(shown, { x: "x", y: "y", fill: "var(--accent)", fillOpacity: "bytes",
          title: (of) => `${keys[0]} ${of.y}, ${keys[1]} ${of.x}: ${format.bytes(of.bytes)}, `
            + `${format.plural(of.rows, "row")}, ${format.plural(of.files, "file")}`, tip: true }),
      ],
    });
  };

  // Tasks in time, each on the first line that is free when it begins; the longest where there are too many.
  const MOST_TASKS = 1000;
  const timeline = (tasks, width) => {
    const timed = tasks.filter((task) => task.started_at && task.seconds != null).slice(0, MOST_TASKS).map((task) => {
      const start = Date.parse(task.started_at);
      return { ...task, start, end: start + 1000 * task.seconds };
    }).sort((a, b) => a.start - b.start);
    if (!timed.length) return null;
    const begin = d3.min(timed, (task) => task.start);
    const lines = [];
    for (const task of timed) {
      // Starts are known to the millisecond only.
      let line = lines.findIndex((end) => end <= task.start + 2);
      if (line < 0) { line = lines.length; lines.push(0); }
      lines[line] = task.end;
      task.line = line;
    }
    const end = (d3.max(timed, (task) => task.end) - begin) / 1000 || 0.001;
    const colour = (task) => (task.state === "failed" ? "var(--bad)" : task.step === "stage" ? "var(--second)" : "var(--accent)");
    const height = Math.min(18, Math.max(3, 260 / lines.length));
    return Plot.plot({
      ...ground, width, height: 34 + height * lines.length, marginLeft: 20, marginRight: 26, marginBottom: 26, marginTop: 6,
      x: { domain: [0, end], label: null, ticks: Math.max(3, Math.floor(width / 110)), tickFormat: format.seconds },
      y: { axis: null, domain: [0, lines.length] },
      marks: [
        Plot.gridX({ ...grid, ticks: Math.max(3, Math.floor(width / 110)) }),
        Plot.rect(timed, { x1: (task) => (task.start - begin) / 1000,
          x2: (task) => Math.max((task.end - begin) / 1000, (task.start - begin) / 1000 + end / 600),
          y1: (task) => lines.length - task.line, y2: (task) => lines.length - task.line - 0.86, fill: colour, rx: 1.5,
          title: (task) => `${task.step} ${task.group}${task.partition ? ` (${task.partition})` : ""}: `
            + `${format.seconds(task.seconds)}, ${format.plural(task.rows_written ?? 0, "row")}, ${task.state}`, tip: true }),
      ],
    });
  };

  return { sizes, bars, heat, timeline, MOST_BARS, MOST_VALUES, MOST_TASKS };
})();
