// One stream's time line: a lane that scrolls by, the present at its right end. It is told what happened and when, and draws; it counts
// nothing. Invariant: at most so many marks are kept.

extension Page {
    /// The script of the time line: `makeTimeline(canvas)`.
    static let timelineScript = #"""
        function makeTimeline(canvas) {
          const context = canvas.getContext("2d");
          const marks = [];
          let colours = {}, windowMs = 60000, from = null, to = null, back = null, watchedFrom = null, lastSilence = 0, frame = null;

          function readColours() {
            const style = getComputedStyle(document.documentElement);
            for (const name of ["ink", "soft", "line", "event", "alive", "dead", "silence", "own",
              "shade"]) colours[name] = style.getPropertyValue("--" + name).trim();
          }
          readColours();
          matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);

          function words(text, x, y, colour, align = "center") {
            context.font = "12px system-ui, sans-serif";
            context.textAlign = align;
            context.fillStyle = colour;
            context.fillText(text, x, y);
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
          function dot(x, y, radius) {
            context.beginPath();
            context.arc(x, y, radius, 0, 2 * Math.PI);
            context.fillStyle = colours.event;
            context.fill();
          }
          function cross(x, y, colour) {
            context.strokeStyle = colour;
            context.lineWidth = 3;
            context.beginPath();
            context.moveTo(x - 7, y - 7); context.lineTo(x + 7, y + 7);
            context.moveTo(x + 7, y - 7); context.lineTo(x - 7, y + 7);
            context.stroke();
          }
          // Where the client got no byte for a while, as far as that was watched; and, from the log, just before the end.
          function silences(end) {
            const found = [], limit = Math.max(1500, windowMs / 20);
            if (watchedFrom !== null) {
              let last = Math.max(from, watchedFrom);
              for (const mark of marks) {
                if (mark.at - last > limit) found.push([last, mark.at]);
                last = mark.at;
              }
              if (to === null && end - last > limit) found.push([last, end]);
            }
            if (to !== null && lastSilence > limit / 2) found.push([to - lastSilence, to]);
            return found;
          }
          function draw() {
            const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = 150;
            if (canvas.width !== Math.round(width * scale)) { canvas.width = Math.round(width * scale); canvas.height = height * scale; }
            context.setTransform(scale, 0, 0, scale, 0, 0);
            context.clearRect(0, 0, width, height);
            const present = to === null ? now() : Math.max(to + windowMs * .12, back === null ? 0 : back.at + windowMs * .1);
            const x = at => width - (present - at) / windowMs * width, y = 68;
            const end = to ?? present;
            if (from === null) { words("waiting for the stream", width / 2, y, colours.soft); return next(); }
            for (const [start, stop] of silences(end)) {
              const left = Math.max(0, x(start)), right = x(stop);
              if (right < 0) continue;
              context.fillStyle = colours.shade;
              context.fillRect(left, 18, right - left, 92);
              const text = exact(Math.round(stop - start)) + " silent";
              if (right - left > 74) words(text, (left + right) / 2, 102, colours.silence);
            }
            // What passed before somebody watched is not known here: the line is thin.
            const known = Math.min(end, Math.max(from, watchedFrom ?? end));
            context.strokeStyle = colours.alive;
            context.lineWidth = 1;
            context.beginPath(); context.moveTo(Math.max(0, x(from)), y); context.lineTo(Math.max(0, x(known)), y); context.stroke();
            if (watchedFrom !== null && x(known) - Math.max(0, x(from)) > 130) words("not watched yet", (Math.max(0, x(from))
              + x(known)) / 2, y + 20, colours.soft);
            context.lineWidth = 3;
            context.beginPath(); context.moveTo(Math.max(0, x(known)), y); context.lineTo(x(end), y); context.stroke();
            if (x(from) > 0) {
              context.strokeStyle = colours.alive;
              context.beginPath(); context.moveTo(x(from), y - 16); context.lineTo(x(from), y + 16); context.stroke();
              words("opened", x(from), y - 24, colours.alive, x(from) > width - 40 ? "right" : x(from) < 40 ? "left" : "center");
            }
            let lastWord = -1e9;
            for (const mark of marks) {
              const at = x(mark.at);
              if (at < -12) continue;
              if (mark.kind === "beat") { pulse(at, y); continue; }
              dot(at, y, mark.bytes > 16384 ? 8 : mark.bytes > 1024 ? 6 : 4.5);
              if (at - lastWord > 34 && mark.number) { words(String(mark.number), at, y - 14, colours.soft); lastWord = at; }
            }
            if (to !== null) { cross(x(to), y, colours.dead); words("ended", x(to), y - 16, colours.dead); }
            if (back !== null) {
              context.strokeStyle = colours.own;
              context.lineWidth = 2;
              context.setLineDash([4, 4]);
              context.beginPath(); context.moveTo(x(to), y + 12); context.lineTo(x(back.at), y + 12); context.stroke();
              context.setLineDash([]);
              words("back after " + exact(Math.round(back.at - to)), x(back.at), y + 30, colours.own, "right");
            }
            axis(width, present, x);
            next();
          }
          function axis(width, present, x) {
            const steps = [1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000];
            const step = steps.find(found => windowMs / found * 46 < width) || 600000;
            context.strokeStyle = colours.line;
            context.lineWidth = 1;
            for (let ago = 0; ago <= windowMs; ago += step) {
              const at = x((to ?? present) - ago);
              context.beginPath(); context.moveTo(at, 116); context.lineTo(at, 122); context.stroke();
              words(ago ? "−" + span(ago) : to === null ? "now" : "end", at, 138, colours.soft, at < 24 ? "left" : ago || to !== null
                ? "center" : "right");
            }
          }
          function next() { frame = document.hidden ? setTimeout(draw, 500) : setTimeout(() => requestAnimationFrame(draw), 60); }

          return {
            start() { marks.length = 0; [from, to, back, watchedFrom, lastSilence] = [null, null, null, null, 0]; clearTimeout(frame);
              draw(); },
            stop() { clearTimeout(frame); },
            opened(at) { from = at; },
            ended(at, silence) { [to, lastSilence] = [at, silence]; },
            watched(at) { watchedFrom = at; },
            returned(at, id) { back = { at, id }; },
            add(mark) { marks.push(mark); if (marks.length > 4000) marks.shift(); },
            show(ms) { windowMs = ms; },
          };
        }

        """#
}
