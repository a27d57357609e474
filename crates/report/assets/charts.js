// The charts. uPlot draws axes, grid and lines; the marks and their intervals are drawn over them in a hook of it.
"use strict";

(() => {
  const { data, el, number, distinct, fill, colour } = Report;
  const shapes = ["circle", "square", "triangle", "diamond", "cross", "down", "ring", "plus"];
  const glyphs = ["●", "■", "▲", "◆", "✖", "▼", "○", "✚"];
  const dashes = [[], [10, 4], [3, 3], [12, 3, 3, 3]];
  const strokes = ["━", "╍", "┅", "┉"];
  const live = new Set();

  const paint = (index) => colour(`--series-${(index % 8) + 1}`);

  /** Draws the mark of a series. The shape tells the series apart without its colour. */
  function drawMark(ctx, shape, x, y, r) {
    ctx.beginPath();
    if (shape === "circle" || shape === "ring") ctx.arc(x, y, r, 0, 2 * Math.PI);
    if (shape === "square") ctx.rect(x - r, y - r, 2 * r, 2 * r);
    const corners = {
      triangle: [[0, -1.2], [1.2, 1], [-1.2, 1]],
      down: [[0, 1.2], [1.2, -1], [-1.2, -1]],
      diamond: [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]],
    }[shape];
    for (const [dx, dy] of corners || []) ctx.lineTo(x + dx * r, y + dy * r);
    const lines = { cross: [[-1, -1, 1, 1], [-1, 1, 1, -1]], plus: [[-1.2, 0, 1.2, 0], [0, -1.2, 0, 1.2]] }[shape];
    for (const [ax, ay, bx, by] of lines || []) {
      ctx.moveTo(x + ax * r, y + ay * r);
      ctx.lineTo(x + bx * r, y + by * r);
    }
    if (lines || shape === "ring") {
      ctx.lineWidth = r * 0.6;
      ctx.stroke();
    } else {
      ctx.closePath();
      ctx.fill();
    }
  }

  /**
   * uPlot wants one list of x for all series. Series here have x of their own, sometimes the same one twice, so the list
   * is that of all points, and a series has a value only at its own.
   */
  function aligned(series) {
    const points = series.flatMap((one, index) => one.points.map((point) => ({ ...point, series: index })));
    points.sort((a, b) => a.x - b.x);
    const columns = series.map((_, index) => points.map((point) => (point.series === index ? point.y : null)));
    return { points, table: [points.map((point) => point.x), ...columns] };
  }

  /** A range of percentages around all values, with some room. */
  function spread(values) {
    const known = values.filter((value) => Number.isFinite(value));
    if (known.length === 0) return [0, 100];
    const low = Math.min(...known);
    const high = Math.max(...known);
    const pad = Math.max((high - low) * 0.05, 1);
    return [Math.max(0, low - pad), Math.min(100, high + pad)];
  }

  function drawMarks(u, points, series) {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    for (const point of points) {
      if (!u.series[point.series + 1].show || series[point.series].bare || !Number.isFinite(point.y)) continue;
      const x = u.valToPos(point.x, "x", true);
      ctx.fillStyle = ctx.strokeStyle = paint(point.series);
      if (Number.isFinite(point.low) && Number.isFinite(point.high)) {
        ctx.lineWidth = 1.5 * ratio;
        ctx.beginPath();
        ctx.moveTo(x, u.valToPos(point.low, "y", true));
        ctx.lineTo(x, u.valToPos(point.high, "y", true));
        ctx.stroke();
      }
      drawMark(ctx, shapes[point.series % 8], x, u.valToPos(point.y, "y", true), 4 * ratio);
    }
    ctx.restore();
  }

  /** The line on which both axes are equal. */
  function drawDiagonal(u) {
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = colour("--muted");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(u.valToPos(0, "x", true), u.valToPos(0, "y", true));
    ctx.lineTo(u.valToPos(1, "x", true), u.valToPos(1, "y", true));
    ctx.stroke();
    ctx.restore();
  }

  /** The point nearest to the pointer, if one is near. */
  function nearest(u, points) {
    const { left, top } = u.cursor;
    let best = null;
    let least = 40 * 40;
    for (const point of points) {
      if (left < 0 || !u.series[point.series + 1].show || !Number.isFinite(point.y)) continue;
      const away = (u.valToPos(point.x, "x") - left) ** 2 + (u.valToPos(point.y, "y") - top) ** 2;
      if (away < least) [best, least] = [point, away];
    }
    return best;
  }

  function legend(u, series) {
    const buttons = series.map((one, index) => {
      const glyph = el("span", { class: "glyph", "aria-hidden": "true" }, one.bare ? strokes[index % 4] : glyphs[index % 8]);
      glyph.style.color = `var(--series-${(index % 8) + 1})`;
      const button = el("button", { type: "button", "aria-pressed": "true" }, glyph, one.name);
      button.addEventListener("click", () => {
        const show = !u.series[index + 1].show;
        u.setSeries(index + 1, { show });
        button.setAttribute("aria-pressed", String(show));
      });
      return button;
    });
    return el("div", { class: "legend", role: "group", "aria-label": "Series shown" }, ...buttons);
  }

  const clear = (host) => {
    for (const one of [...live]) {
      if (one.host !== host) continue;
      one.u.destroy();
      one.watch.disconnect();
      live.delete(one);
    }
    host.replaceChildren();
  };

  /**
   * Draws a chart into `host`, in place of the one before.
   * `series`: [{name, points: [{x, y, low, high, note}], line, bare}]; a bare series has a line and no marks.
   */
  function draw(host, { label, series, x, y, diagonal = false, height = 320 }) {
    clear(host);
    series = series.filter((one) => one.points.length > 0);
    if (series.length === 0) {
      host.append(el("p", {}, "There are no figures for this choice."));
      return;
    }
    const { points, table } = aligned(series);
    const axis = (of, more) => ({
      label: of.label, labelSize: 22, labelFont: "13px system-ui, sans-serif", font: "12px system-ui, sans-serif",
      stroke: () => colour("--muted"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, ...more,
    });
    const box = el("div", { role: "img", "aria-label": `${label} The same figures are in the table.` });
    const readout = el("p", { class: "readout" });
    host.append(box);
    const options = {
      width: Math.max(200, host.clientWidth), height,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      scales: {
        x: { time: false, range: () => x.range, ...(x.log ? { distr: 3, log: 2 } : {}) },
        y: { range: () => y.range },
      },
      axes: [
        axis(x, { size: 30, ...(x.ticks ? { splits: () => x.ticks.map((_, i) => i), values: () => x.ticks } : {}),
          ...(x.log ? { splits: () => x.log, values: (_, all) => all.map(String), filter: (_, all) => all } : {}) }),
        axis(y, { size: 44 }),
      ],
      series: [{}, ...series.map((one, index) => ({
        label: one.name, stroke: () => paint(index), width: one.line ? 2 : 0, dash: one.bare ? dashes[index % 4] : [], spanGaps: true, points: { show: false },
      }))],
      hooks: {
        draw: [(u) => {
          if (diagonal) drawDiagonal(u);
          drawMarks(u, points, series);
        }],
        setCursor: [(u) => {
          const point = nearest(u, points);
          readout.textContent = point ? `${series[point.series].name}: ${point.note}` : "";
        }],
      },
    };
    const u = new uPlot(options, table, box);
    host.append(readout, legend(u, series));
    const watch = new ResizeObserver(() => {
      const width = Math.max(200, host.clientWidth);
      if (width !== u.width) u.setSize({ width, height });
    });
    watch.observe(host);
    live.add({ host, u, watch });
  }

  const interval = (point) => `${number(point.accuracy, 1)} % (${number(point.low, 1)} to ${number(point.high, 1)})`;

  function accuracyChart() {
    const host = document.getElementById("accuracy-chart");
    const rows = data.accuracy || [];
    if (!host || rows.length === 0) return;
    const select = document.getElementById("accuracy-split");
    fill(select, distinct(rows.map((row) => row.split)));
    const show = () => {
      const here = rows.filter((row) => row.split === select.value);
      const models = distinct(here.map((row) => row.model));
      const decoders = distinct(here.map((row) => row.decoder));
      const series = decoders.map((decoder, index) => ({
        name: decoder,
        points: here.filter((row) => row.decoder === decoder).map((row) => ({
          // Decoders stand side by side within a model, so that their intervals do not overlap.
          x: models.indexOf(row.model) + (0.7 * (index - (decoders.length - 1) / 2)) / Math.max(decoders.length, 3),
          y: row.accuracy, low: row.low, high: row.high, note: `${row.model}, ${interval(row)}`,
        })),
      }));
      draw(host, {
        label: `Right answers by model and decoder on the split ${select.value}, with 95 % intervals.`,
        series,
        x: { label: "model", ticks: models, range: [-0.5, models.length - 0.5] },
        y: { label: "right %", range: spread(here.flatMap((row) => [row.low, row.high, row.accuracy])) },
      });
      for (const table of document.querySelectorAll("#accuracy .by-split")) table.hidden = table.dataset.split !== select.value;
    };
    select.addEventListener("change", show);
    show();
  }

  /** Powers of two times a round number, between the ends of a range. */
  function logTicks([low, high]) {
    const ticks = [];
    for (let tick = 25; tick <= high; tick *= 2) if (tick >= low) ticks.push(tick);
    return ticks.length > 1 ? ticks : [Math.ceil(low), Math.floor(high)];
  }

  /** Moves decoders with the same number of tokens a little apart. */
  function apart(points) {
    const at = (point) => points.filter((other) => Math.abs(other.tokens / point.tokens - 1) < 0.02);
    return points.map((point) => {
      const same = at(point);
      return { ...point, drawn: point.tokens * 1.035 ** (same.indexOf(point) - (same.length - 1) / 2) };
    });
  }

  function curveChart() {
    const host = document.getElementById("curve-chart");
    const curves = data.curves || [];
    if (!host || curves.length === 0) return;
    const split = document.getElementById("curve-split");
    const model = document.getElementById("curve-model");
    fill(split, distinct(curves.map((curve) => curve.split)));
    fill(model, distinct(curves.map((curve) => curve.model)));
    model.selectedIndex = model.options.length - 1;
    const show = () => {
      const curve = curves.find((one) => one.split === split.value && one.model === model.value);
      const points = apart((curve ? curve.points : []).filter((point) => point.tokens > 0 && Number.isFinite(point.accuracy)));
      // `sample@8` and `sample@16` are one decoder with two budgets.
      const family = (point) => point.decoder.split("@")[0];
      const series = distinct(points.map(family)).map((name) => ({
        name,
        line: true,
        points: points.filter((point) => family(point) === name).map((point) => ({
          x: point.drawn, y: point.accuracy, low: point.low, high: point.high,
          note: `${point.decoder}, ${number(point.tokens, 0)} tokens, ${interval(point)}`,
        })),
      }));
      const tokens = points.map((point) => point.tokens);
      const range = [Math.min(...tokens) / 1.25, Math.max(...tokens) * 1.25];
      draw(host, {
        label: `Right answers against tokens a problem, by decoder, for ${model.value} on the split ${split.value}.`,
        series,
        x: { label: "tokens a problem, logarithmic", range, log: logTicks(range) },
        y: { label: "right %", range: spread(points.flatMap((point) => [point.low, point.high, point.accuracy])) },
      });
      for (const table of document.querySelectorAll("#tokens .by-curve")) {
        table.hidden = table.dataset.split !== split.value || table.dataset.model !== model.value;
      }
    };
    split.addEventListener("change", show);
    model.addEventListener("change", show);
    show();
  }

  function criticCharts() {
    const select = document.getElementById("critics-round");
    const critics = data.critics || [];
    if (!select || critics.length === 0) return;
    fill(select, distinct(critics.map((critic) => String(critic.round))));
    select.selectedIndex = select.options.length - 1;
    const unit = (label) => ({ label, range: [0, 1] });
    const show = () => {
      const here = critics.filter((critic) => String(critic.round) === select.value);
      draw(document.getElementById("calibration-chart"), {
        label: `Share of right solutions against what each critic says, round ${select.value}.`,
        series: here.map((critic) => ({
          name: critic.head,
          line: true,
          points: (critic.calibration || []).map((bin) => ({
            x: bin.said, y: bin.right, note: `says ${number(bin.said, 2)}, right ${number(bin.right, 2)}, ${bin.n} solutions`,
          })),
        })),
        x: unit("critic says"), y: unit("right"), diagonal: true,
      });
      draw(document.getElementById("roc-chart"), {
        label: `ROC of each critic, round ${select.value}; ${here.map((c) => `${c.head}: AUC ${number(c.auc, 3)}`).join(", ")}.`,
        series: here.map((critic) => ({
          name: critic.head,
          line: true,
          bare: true,
          points: (critic.roc || []).map(([x, y]) => ({ x, y, note: `${number(100 * y)} % of right, ${number(100 * x)} % of wrong accepted` })),
        })),
        x: unit("wrong ones accepted"), y: unit("right ones accepted"), diagonal: true,
      });
    };
    select.addEventListener("change", show);
    show();
  }

  accuracyChart();
  curveChart();
  criticCharts();
  // Canvas does not follow the style sheet by itself.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { u } of live) u.redraw(true, true);
  });
})();
