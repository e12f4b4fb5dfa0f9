// Plots of an endpoint's page. What they show is in tables too, where it is not a line.
"use strict";

const COLOURS = ["#2f81c7", "#c2571a", "#2c9a5b", "#a24fb5", "#b08a00", "#7a7f87"];
const EVERY_MS = 5000;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Vertical lines where the autoscaler ordered something.
function decisionMarks(decisions) {
  return (plot) => {
    const context = plot.ctx;
    context.save();
    context.strokeStyle = colour("--soft");
    context.setLineDash([4, 4]);
    for (const decision of decisions) {
      const x = plot.valToPos(Date.parse(decision.time) / 1000, "x", true);
      if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
      context.beginPath();
      context.moveTo(x, plot.bbox.top);
      context.lineTo(x, plot.bbox.top + plot.bbox.height);
      context.stroke();
    }
    context.restore();
  };
}

function nearest(decisions, time, seconds) {
  let found = null;
  for (const decision of decisions) {
    const away = Math.abs(Date.parse(decision.time) / 1000 - time);
    if (away <= seconds) { seconds = away; found = decision; }
  }
  return found;
}

function sentence(decision) {
  return `${decision.time} ${decision.version}: ${decision.replicas} pods of ${decision.concurrency} at once: ` +
    (decision.reasons || []).join("; ");
}

function draw(holder, note, found) {
  holder.replaceChildren();
  for (const plot of found.plots) {
    const versions = Object.keys(plot.lines).sort();
    if (!versions.length) continue;
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = `${plot.title} (${plot.unit})`;
    figure.append(caption);
    holder.append(figure);
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const scale = { range: (_, low, high) => [0, Math.max(high || 0, plot.unit === "pods" ? 1 : 0.001) * 1.1] };
    const lines = versions.map((name, at) => ({
      label: name, stroke: COLOURS[at % COLOURS.length], width: 2, points: { show: false },
    }));
    const made = new uPlot({
      width: Math.max(figure.clientWidth, 240), height: 180, scales: { y: scale }, axes: [axis, { ...axis, size: 56 }],
      series: [{}, ...lines], cursor: { sync: { key: "endpoint" } },
      hooks: {
        draw: [decisionMarks(found.decisions)],
        setCursor: [(self) => {
          if (self.cursor.idx == null) return;
          const close = nearest(found.decisions, self.posToVal(self.cursor.left, "x"), 5);
          note.textContent = close ? sentence(close) : "";
        }],
      },
    }, [found.times, ...versions.map((name) => plot.lines[name])], figure);
    made.root.querySelector("canvas").setAttribute("aria-hidden", "true");
  }
}

async function show() {
  const holder = document.getElementById("plots"), note = document.getElementById("plots-note");
  if (!holder) return;
  try {
    const answer = await fetch(holder.dataset.history, { headers: { "hx-request": "true" } });
    if (!answer.ok) throw new Error(`the history was answered with ${answer.status}`);
    const found = await answer.json();
    draw(holder, note, found);
    note.textContent = found.plots.some((plot) => Object.keys(plot.lines).length) ?
      "Dashed: the autoscaler ordered something." : "Nothing was measured in this time.";
    holder.dataset.shown = "true";
  } catch (error) {
    note.textContent = `There are no plots: ${error.message}.`;
  }
  setTimeout(show, EVERY_MS);
}

// What renews itself waits while somebody reads in it: an open row would close, and the focus would be lost.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (["rows", "endpoints"].includes(part.id) && (part.contains(document.activeElement) || part.querySelector("details[open]")))
    event.preventDefault();
});
document.addEventListener("DOMContentLoaded", show);
