"use strict";
(function () {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const percent = (share, digits = 1) => (share === null ? "n/a" : (100 * share).toFixed(digits) + "%");
  const charts = [];

  // -- colours: one place, the style sheet -----------------------------------------------------

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue("--" + name).trim();
    return {
      ink: of("ink"), soft: of("soft"), line: of("line"), paper: of("paper"),
      accent: of("accent"), second: of("second"),
      wash: (alpha) => `rgba(${of("accent-wash")}, ${alpha})`,
      wrong: (alpha) => `rgba(${of("wrong")}, ${alpha})`,
    };
  }

  function axis(colours, title, more = {}) {
    return {
      title: { display: Boolean(title), text: title, color: colours.soft },
      ticks: { color: colours.soft, maxRotation: 0, ...(more.ticks || {}) },
      grid: { color: colours.line, drawTicks: false, display: more.grid !== false },
      border: { display: false },
      ...(more.axis || {}),
    };
  }

  const share = { axis: { min: 0, max: 1 }, ticks: { callback: (value) => Math.round(100 * value) + "%", stepSize: 0.2 } };

  function options(colours, scales, more = {}) {
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: more.interaction || { mode: "nearest", intersect: false },
      scales,
      plugins: {
        legend: { display: more.legend !== false, align: "start", labels: { color: colours.ink, boxWidth: 22, boxHeight: 2, ...(more.labels || {}) } },
        tooltip: {
          backgroundColor: colours.ink, titleColor: colours.paper, bodyColor: colours.paper,
          cornerRadius: 2, displayColors: false, ...(more.tooltip || {}),
        },
      },
    };
  }

  function draw(id, build) {
    const canvas = byId(id);
    if (canvas) charts.push({ canvas, build, chart: null });
  }

  function redraw() {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const colours = palette();
    for (const entry of charts) {
      if (entry.chart) entry.chart.destroy();
      entry.chart = new Chart(entry.canvas, entry.build(colours));
    }
    drawConfusion(colours);
  }

  // -- histogram -------------------------------------------------------------------------------

  draw("histogram-chart", (colours) => {
    const histogram = data.evaluation.histogram;
    const other = histogram.all.map((count, bin) => count - histogram.int[bin] - histogram.ext[bin]);
    const series = [
      ["INT classes", histogram.int, colours.accent],
      ["EXT classes", histogram.ext, colours.second],
      ["classes", other, colours.accent],
    ].filter(([, counts]) => counts.some((count) => count));
    return {
      type: "bar",
      data: {
        labels: histogram.bins.map((bin, index) => (index ? bin.replace("-", "–") : "0%")),
        datasets: series.map(([label, counts, colour]) => ({
          label, data: counts, backgroundColor: colour, barPercentage: 0.96, categoryPercentage: 0.92,
        })),
      },
      options: options(colours, {
        x: axis(colours, "top-1 accuracy of the class", { grid: false, axis: { stacked: true } }),
        y: axis(colours, "classes", { axis: { stacked: true, beginAtZero: true }, ticks: { precision: 0 } }),
      }, { labels: { boxHeight: 10, boxWidth: 10 }, legend: series.length > 1, interaction: { mode: "index", intersect: false } }),
    };
  });

  // -- curves ----------------------------------------------------------------------------------

  const points = (curve) => curve.x.map((x, index) => ({ x, y: curve.y[index] }));

  function line(label, curve, colour, more = {}) {
    return {
      label, data: points(curve), borderColor: colour, backgroundColor: colour,
      borderWidth: 2, pointRadius: 0, pointHitRadius: 8, tension: 0, ...more,
    };
  }

  function curveChart(kind, xTitle, yTitle) {
    return (colours) => {
      const styles = [
        { colour: colours.accent }, { colour: colours.ink, more: { borderDash: [6, 4], borderWidth: 1.5 } },
      ];
      const chosen = byId("curve-class").value;
      const sets = data.curves.averages
        .map((one, index) => one[kind] && line(one.name, one[kind], styles[index].colour, styles[index].more))
        .filter(Boolean);
      if (chosen !== "") {
        const one = data.curves.classes[Number(chosen)];
        sets.push(line(one.name, one[kind], colours.wrong(1), { stepped: kind === "roc" ? false : "after" }));
      }
      if (kind === "roc") {
        sets.push(line("chance", { x: [0, 1], y: [0, 1] }, colours.second, { borderDash: [2, 4], borderWidth: 1 }));
      }
      return {
        type: "line",
        data: { datasets: sets },
        options: options(colours, {
          x: axis(colours, xTitle, { ...share, axis: { type: "linear", min: 0, max: 1 } }),
          y: axis(colours, yTitle, share),
        }, { tooltip: { callbacks: {
          title: (items) => items[0].dataset.label,
          label: (item) => `${xTitle} ${percent(item.parsed.x)}, ${yTitle} ${percent(item.parsed.y)}`,
        } } }),
      };
    };
  }

  if (data.curves) {
    draw("roc-chart", curveChart("roc", "false positives", "true positives"));
    draw("pr-chart", curveChart("precision_recall", "recall", "precision"));
    byId("curve-class").addEventListener("change", redraw);
  }

  // -- calibration -----------------------------------------------------------------------------

  draw("calibration-chart", (colours) => {
    const bins = data.evaluation.reliability.filter((bin) => bin.n_images);
    const most = Math.max(1, ...bins.map((bin) => bin.n_images));
    return {
      type: "scatter",
      data: { datasets: [
        {
          label: "right answers (the larger, the more photos)",
          data: bins.map((bin) => ({ x: bin.confidence, y: bin.accuracy.value })),
          backgroundColor: colours.wash(0.55), borderColor: colours.accent, clip: 20,
          pointRadius: bins.map((bin) => 4 + 12 * Math.sqrt(bin.n_images / most)),
          pointHoverRadius: bins.map((bin) => 4 + 12 * Math.sqrt(bin.n_images / most)),
        },
        { type: "line", label: "a score that keeps its word", data: [{ x: 0, y: 0 }, { x: 1, y: 1 }],
          borderColor: colours.second, borderDash: [5, 5], borderWidth: 1.5, pointRadius: 0, pointHitRadius: 0 },
        ...bins.map((bin) => ({
          type: "line", label: "", data: [{ x: bin.confidence, y: bin.accuracy.low }, { x: bin.confidence, y: bin.accuracy.high }],
          borderColor: colours.accent, borderWidth: 1, pointRadius: 0, pointHitRadius: 0,
        })),
      ] },
      options: options(colours, {
        x: axis(colours, "mean score of the answers", share),
        y: axis(colours, "share of right answers", share),
      }, {
        labels: { boxHeight: 3, filter: (item) => item.text },
        tooltip: {
          filter: (item) => item.datasetIndex === 0,
          callbacks: { label: (item) => {
            const bin = bins[item.dataIndex];
            return `${bin.n_images} photos: score ${percent(bin.confidence)}, right ${percent(bin.accuracy.value)}`;
          } },
        },
      }),
    };
  });

  // -- training --------------------------------------------------------------------------------

  function historyChart(training, validation, isShare) {
    return (colours) => {
      const rows = data.history;
      const step = Math.max(1, Math.floor(rows.length / 500));
      const kept = rows.filter((row, index) => index % step === 0 || index === rows.length - 1);
      const series = (key) => kept.filter((row) => row[key] !== null).map((row) => ({ x: row.step, y: row[key] }));
      const best = rows.find((row) => row.step === data.best_step);
      const sets = [
        { label: "training", data: series(training), borderColor: colours.second, backgroundColor: colours.second, borderWidth: 1.5 },
        { label: "validation", data: series(validation), borderColor: colours.accent, backgroundColor: colours.accent, borderWidth: 2 },
      ].filter((set) => set.data.length).map((set) => ({ ...set, pointRadius: set.data.length > 1 ? 0 : 3, pointHitRadius: 8 }));
      if (best && best[validation] !== null) {
        sets.push({ label: "kept", data: [{ x: best.step, y: best[validation] }], borderColor: colours.accent,
          backgroundColor: colours.paper, borderWidth: 2, pointRadius: 5, showLine: false, clip: 10 });
      }
      const show = (value) => (isShare ? percent(value) : value.toPrecision(3));
      return {
        type: "line",
        data: { datasets: sets },
        options: options(colours, {
          x: axis(colours, "step", { grid: false, axis: { type: "linear", min: 0 }, ticks: { maxTicksLimit: 6 } }),
          y: axis(colours, "", isShare ? { axis: { max: 1 }, ticks: { callback: (value) => Math.round(100 * value) + "%" } } : { axis: { beginAtZero: true } }),
        }, { labels: { filter: (item) => item.text !== "kept" }, tooltip: { callbacks: {
          title: (items) => `step ${items[0].parsed.x}`,
          label: (item) => `${item.dataset.label} ${show(item.parsed.y)}`,
        } } }),
      };
    };
  }

  draw("accuracy-chart", historyChart("training_accuracy", "validation_accuracy", true));
  draw("loss-chart", historyChart("loss", "validation_loss", false));

  // -- map -------------------------------------------------------------------------------------

  if (data.map) {
    const map = data.map;
    const splits = ["training", "validation", "test"];
    const everyClass = data.n_classes <= 8;
    // Okabe and Ito's palette without yellow: told apart by every kind of colour vision.
    const hues = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b6bb1", "#7a7a7a"];
    const worst = new Set(Object.keys(data.class_names).filter((label) => data.most_confused.includes(data.class_names[label])).map(Number));
    draw("map-chart", (colours) => {
      const choice = byId("map-class").value;
      const chosen = choice === "" ? worst : new Set([Number(choice)]);
      const rows = map.x.map((_, index) => index);
      const isChosen = (index) => chosen.has(map.labels[index]);
      const isWrong = (index) => map.labels[index] !== map.predicted[index];
      const set = (label, kept, style) => ({ label, rows: kept, data: kept.map((index) => ({ x: map.x[index], y: map.y[index] })), ...style });
      const perClass = () => Object.entries(data.class_names).map(([label, name]) => set(name,
        rows.filter((index) => map.labels[index] === Number(label) && !isWrong(index)),
        { backgroundColor: hues[label], pointRadius: 3, borderWidth: 0 }));
      const chosenAndOthers = () => [
        set(choice === "" ? "the classes that are confused most" : data.class_names[Number(choice)],
          rows.filter((index) => isChosen(index) && !isWrong(index)), { backgroundColor: colours.accent, pointRadius: 3.5, borderWidth: 0 }),
        set("other photos", rows.filter((index) => !isChosen(index) && !isWrong(index)),
          { backgroundColor: colours.line, pointRadius: 2.2, borderWidth: 0 }),
      ];
      const sets = [
        set("misclassified", rows.filter(isWrong),
          { pointStyle: "crossRot", borderColor: colours.wrong(0.85), borderWidth: 1.2, pointRadius: (context) => (isChosen(context.dataset.rows[context.dataIndex]) ? 6 : 3.5) }),
        ...(everyClass && choice === "" ? perClass() : chosenAndOthers()),
      ];
      return {
        type: "scatter",
        data: { datasets: sets },
        options: options(colours, {
          x: axis(colours, "", { ticks: { display: false }, grid: false }),
          y: axis(colours, "", { ticks: { display: false }, grid: false }),
        }, {
          interaction: { mode: "nearest", intersect: true },
          labels: { usePointStyle: true, boxHeight: 7 },
          tooltip: { callbacks: { label: (item) => {
            const index = item.dataset.rows[item.dataIndex];
            const answer = isWrong(index) ? `, taken for ${data.class_names[map.predicted[index]]}` : "";
            return [`${data.class_names[map.labels[index]]}${answer} (${splits[map.splits[index]]})`, map.paths[index]];
          } } },
        }),
      };
    });
    byId("map-class").addEventListener("change", redraw);
  }

  // -- confusion matrix, where it is too large for a table ----------------------------------------

  const matrix = new Map();
  const totals = new Array(data.n_classes).fill(0);
  for (const [truth, answer, count] of data.confusion) {
    matrix.set(truth * totals.length + answer, count);
    totals[truth] += count;
  }

  function drawConfusion(colours) {
    const canvas = byId("confusion-chart");
    if (!canvas) return;
    const n = totals.length;
    const side = Math.max(300, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, side, side);
    const cell = side / n;
    context.fillStyle = colours.line;
    for (let place = 5; place < n && n <= 200; place += 5) {
      context.fillRect(Math.round(place * cell), 0, 0.5, side);
      context.fillRect(0, Math.round(place * cell), side, 0.5);
    }
    const size = Math.max(cell, 2);
    for (const [truth, answer, count] of data.confusion) {
      const strength = 0.25 + 0.75 * (count / totals[truth]);
      context.fillStyle = truth === answer ? colours.wash(0.6 * strength) : colours.wrong(strength);
      context.fillRect(answer * cell, truth * cell, size, size);
    }
  }

  function readConfusion(event) {
    const canvas = byId("confusion-chart");
    const box = canvas.getBoundingClientRect();
    const n = totals.length;
    const at = (place, start, length) => Math.min(n - 1, Math.max(0, Math.floor(((place - start) / length) * n)));
    const truth = at(event.clientY, box.top, box.height);
    const answer = at(event.clientX, box.left, box.width);
    const count = matrix.get(truth * n + answer) || 0;
    byId("confusion-reading").textContent =
      `${data.class_names[truth]} taken for ${data.class_names[answer]}: ${count} of ${totals[truth]} photos`;
  }

  const confusion = byId("confusion-chart");
  if (confusion) {
    confusion.addEventListener("mousemove", readConfusion);
    confusion.addEventListener("click", readConfusion);
  }

  // -- the class table: sort and filter -------------------------------------------------------------

  const table = byId("class-table");
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];

  function value(row, column) {
    const cell = row.cells[column];
    const raw = cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
    if (!headings[column].classList.contains("num")) return raw;
    return raw === "" || raw === "n/a" ? null : Number(raw);
  }

  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  function compare(left, right, direction) {
    const isEmpty = (one) => one === null || one === "";
    if (isEmpty(left) || isEmpty(right)) return isEmpty(left) - isEmpty(right); // last, either way
    return direction * (typeof left === "number" ? left - right : collator.compare(left, right));
  }

  function sortBy(column) {
    const heading = headings[column];
    const now = heading.getAttribute("aria-sort");
    // Names rise first; of numbers one wants to see the extreme: the lowest accuracy, the highest count.
    const order = now === "ascending" ? "descending" : "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const direction = order === "ascending" ? 1 : -1;
    const keyed = [...body.rows].map((row) => [value(row, column), row]);
    keyed.sort((left, right) => compare(left[0], right[0], direction));
    body.append(...keyed.map((pair) => pair[1]));
  }

  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => sortBy(column)));

  function filter() {
    const part = byId("class-filter").value.trim().toLocaleLowerCase();
    const origin = byId("origin-filter").value;
    let shown = 0;
    for (const row of body.rows) {
      const fits = row.cells[0].textContent.toLocaleLowerCase().includes(part) && (!origin || row.dataset.origin === origin);
      row.hidden = !fits;
      shown += fits;
    }
    const found = findOthers(part, origin);
    const all = body.rows.length + data.other_classes.length;
    const count = (number) => number.toLocaleString("en");
    byId("class-count").textContent = shown === body.rows.length ? `${count(shown)} classes` : `${count(shown + found)} of ${count(all)} classes`;
  }

  // Of very many classes the table lists some; the search puts up to 200 of the others below them.
  function findOthers(part, origin) {
    const place = byId("found-classes");
    if (!place) return 0;
    const fits = ([name, kind]) => name.toLocaleLowerCase().includes(part) && (!origin || kind === origin);
    const found = part || origin ? data.other_classes.filter(fits) : [];
    const shares = (share) => (share === null ? "n/a" : `${(100 * share).toFixed(1)}%`);
    place.replaceChildren(...found.slice(0, 200).map(([name, kind, photos, top1, top5]) => foundRow(name, [kind || "n/a", photos, shares(top1), shares(top5)])));
    if (found.length > 200) place.append(foundRow(`and ${(found.length - 200).toLocaleString("en")} more`, []));
    return found.length;
  }

  function foundRow(name, values) {
    const row = document.createElement("tr");
    const heading = document.createElement("th");
    heading.scope = "row";
    heading.textContent = name;
    row.append(heading, ...values.map((value, column) => {
      const cell = document.createElement("td");
      cell.textContent = value;
      if (column) cell.className = "num";
      return cell;
    }));
    return row;
  }

  byId("class-filter").addEventListener("input", filter);
  byId("origin-filter").addEventListener("change", filter);
  document.querySelectorAll("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));

  // -- when to draw ----------------------------------------------------------------------------------

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.querySelectorAll(".heat-switch").forEach((box) => box.addEventListener("change", () => {
    document.body.classList.toggle("no-heat", !box.checked);
    document.querySelectorAll(".heat-switch").forEach((other) => { other.checked = box.checked; });
  }));
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details.problem").forEach((one) => { one.open = true; });
    redraw();
  });
  window.addEventListener("afterprint", redraw);
  let pending = 0;
  window.addEventListener("resize", () => {
    clearTimeout(pending);
    pending = setTimeout(() => drawConfusion(palette()), 150);
  });
  redraw();
})();
