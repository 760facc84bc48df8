// The page's timeline: three lanes that scroll by, the present at the right. It is told what happened and when, and
// draws; it counts nothing. Invariant: what has scrolled out of sight is forgotten.

extension Page {
    /// The script of the timeline: `makeTimeline(canvas, facts)`.
    static let timelineScript = #"""
        "use strict";
        function makeTimeline(canvas, facts) {
          const context = canvas.getContext("2d");
          const lanes = { direct: { marks: [], spans: [] }, through: { marks: [], spans: [] }, kept: { marks: [], spans: [] } };
          const KEPT = 45000, SHADED = 1300, TOP = 4, AXIS = 18, LABEL = 12;
          const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
          let colours = {}, windowMs = 30000;

          function readColours() {
            const style = getComputedStyle(document.documentElement);
            for (const name of ["ink", "soft", "line", "faint", "event", "alive", "dead", "silence", "silence-soft"])
              colours[name] = style.getPropertyValue("--" + name).trim();
          }
          readColours();
          matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);

          function forget(now) {
            for (const lane of Object.values(lanes)) {
              while (lane.marks.length && (lane.marks[0].at < now - KEPT || lane.marks.length > 1000)) lane.marks.shift();
              while (lane.spans.length && lane.spans[0].to !== null && lane.spans[0].to < now - KEPT) lane.spans.shift();
            }
          }

          // A zigzag as on a heart monitor.
          function pulse(x, y) {
            context.strokeStyle = colours.alive;
            context.lineWidth = 2;
            context.beginPath();
            context.moveTo(x - 7, y);
            for (const [dx, dy] of [[-3, 0], [-1, -9], [2, 7], [4, 0], [7, 0]]) context.lineTo(x + dx, y + dy);
            context.stroke();
          }
          function dot(x, y, colour, isFilled) {
            context.beginPath();
            context.arc(x, y, 5, 0, 2 * Math.PI);
            if (isFilled) { context.fillStyle = colour; context.fill(); return; }
            context.strokeStyle = colour;
            context.lineWidth = 2;
            context.stroke();
          }
          function cross(x, y) {
            context.strokeStyle = colours.dead;
            context.lineWidth = 3;
            context.beginPath();
            context.moveTo(x - 7, y - 7); context.lineTo(x + 7, y + 7);
            context.moveTo(x + 7, y - 7); context.lineTo(x - 7, y + 7);
            context.stroke();
          }
          function words(text, x, y, colour, size, align) {
            context.font = size + "px system-ui, sans-serif";
            context.textAlign = align;
            context.fillStyle = colour;
            context.fillText(text, x, y);
          }

          // The longest of the texts that has room between the two ends, as far as these are in sight; none where none has.
          function caption(texts, from, to, y, colour) {
            const left = Math.max(0, from);
            context.font = "11px system-ui, sans-serif";
            const fitting = texts.find(text => context.measureText(text).width + 8 <= to - left);
            if (fitting) words(fitting, (left + to) / 2, y, colour, 11, "center");
          }

          // Where no byte came for a while, up to the cut or to now; `bytes` are the moments at which one did.
          function silences(lane, now) {
            const found = [];
            for (const span of lane.spans) {
              const end = span.to ?? now;
              let last = span.from;
              for (const mark of lane.marks) {
                if (mark.at < span.from || mark.at > end || (mark.kind !== "event" && mark.kind !== "heartbeat")) continue;
                if (mark.at - last > SHADED) found.push([last, mark.at]);
                last = mark.at;
              }
              if (end - last > SHADED) found.push([last, end]);
            }
            return found;
          }

          // The backend's silences that a stream has lived through.
          function survived(lane) {
            const found = [];
            let last = null;
            for (const mark of lane.marks) {
              if (mark.kind !== "event") continue;
              const isOneConnection = last !== null && lane.spans.some(span => span.from <= last && (span.to === null || span.to >= mark.at));
              if (isOneConnection && mark.at - last > facts.hopIdleLimitMs) found.push([last, mark.at]);
              last = mark.at;
            }
            return found;
          }

          function drawLane(lane, name, top, height, width, now, x) {
            const y = top + LABEL + (height - LABEL) / 2 + 2;
            context.fillStyle = colours.faint;
            context.fillRect(0, top, width, height - 6);
            for (const [from, to] of silences(lane, now)) {
              context.fillStyle = colours["silence-soft"];
              context.fillRect(x(from), top, x(to) - x(from), height - 6);
              const length = ((to - from) / 1000).toFixed(1) + " s";
              caption([length + " silent", length], x(from), x(to), top + height - 14, colours.silence);
            }
            for (const [from, to] of survived(lane)) {
              const length = ((to - from) / 1000).toFixed(1) + " s";
              caption([length + " without an event, survived", length + " survived"], x(from), x(to), top + height - 14, colours.alive);
            }
            context.strokeStyle = colours.soft;
            context.lineWidth = 1;
            context.setLineDash([2, 5]);
            context.beginPath(); context.moveTo(0, y); context.lineTo(width, y); context.stroke();
            context.setLineDash([]);
            context.strokeStyle = colours.alive;
            context.lineWidth = 3;
            for (const span of lane.spans) {
              context.beginPath(); context.moveTo(x(span.from), y); context.lineTo(x(span.to ?? now), y); context.stroke();
            }
            for (const mark of lane.marks) {
              const at = x(mark.at);
              if (at < -20) continue;
              switch (mark.kind) {
                case "event": dot(at, y, colours.event, true); words(mark.number, at, y - 11, colours.soft, 11, "center"); break;
                case "missed": dot(at, y, colours.dead, false); words(mark.number, at, y - 11, colours.dead, 11, "center"); break;
                case "late": dot(at, y, colours.alive, false); words(mark.number, at, y - 11, colours.alive, 11, "center"); break;
                case "heartbeat": pulse(at, y); break;
                case "cut": cross(at, y); words("cut", at, y - 13, colours.dead, 11, "center"); break;
                case "behind": cross(at, y + 20); words("and behind Heartwire", at + 12, y + 24, colours.dead, 11, "left"); break;
                case "refused":
                  context.fillStyle = colours.dead;
                  context.fillRect(at - 15, y - 9, 30, 18);
                  words("401", at, y + 4, isDark() ? "#11151b" : "#ffffff", 12, "center");
                  break;
              }
            }
            words(name, 8, top + 15, colours.ink, 12, "left");
          }
          function isDark() { return matchMedia("(prefers-color-scheme: dark)").matches; }

          function draw() {
            const now = performance.now(), ratio = devicePixelRatio || 1;
            const width = canvas.clientWidth, height = canvas.clientHeight;
            if (width === 0) return;
            if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
              canvas.width = Math.round(width * ratio);
              canvas.height = Math.round(height * ratio);
            }
            windowMs = width < 600 ? 14000 : 30000;
            const edge = width - 14, x = at => edge - (now - at) / windowMs * edge;
            context.setTransform(ratio, 0, 0, ratio, 0, 0);
            context.clearRect(0, 0, width, height);
            const each = (height - TOP - AXIS) / 3;
            drawLane(lanes.direct, "Today", TOP, each, width, now, x);
            drawLane(lanes.through, "Through Heartwire", TOP + each, each, width, now, x);
            drawLane(lanes.kept, "Cut on both sides, kept by Heartwire", TOP + 2 * each, each, width, now, x);
            for (let age = 0; age < windowMs; age += 5000) {
              words(age === 0 ? "now" : "−" + age / 1000 + " s", x(now - age), height - 3, colours.soft, 11, age === 0 ? "right" : "center");
            }
            forget(now);
          }
          if (isCalm) setInterval(draw, 500);
          else {
            // Thirty pictures a second are enough, and leave the processor to the streams.
            let last = 0;
            const frame = at => { if (at - last > 30) { last = at; draw(); } requestAnimationFrame(frame); };
            requestAnimationFrame(frame);
          }

          return {
            mark(side, kind, at, number) { lanes[side].marks.push({ kind, at, number }); forget(at); },
            open(side, at) { lanes[side].spans.push({ from: at, to: null }); forget(at); },
            close(side, at) {
              const span = lanes[side].spans.at(-1);
              if (span && span.to === null) span.to = at;
            },
          };
        }

        """#
}
