// What the page does: opens the two streams as any page would, with a real EventSource each, listens to the feed of
// what the hop sees, counts, and writes the numbers. It draws nothing: that is the timeline's.
// Invariant: all lists in it are bounded, and `window.heartwireDemo` says what the page shows.

extension Page {
    /// The script of the streams; the timeline's script stands before it.
    static let script = #"""
        const facts = JSON.parse(document.getElementById("facts").textContent);
        const page = Array.from(crypto.getRandomValues(new Uint8Array(8)), b => (b % 36).toString(36)).join("");
        const LISTS = 5000, LINES = 12;

        // For the browser test, and for people who open the console. The silences are in milliseconds, as the browser saw them.
        const demo = window.heartwireDemo = {
          direct: [], through: [], lostDirect: 0, lostThrough: 0, cutsDirect: 0, cutsThrough: 0, cuts: 0, heartbeats: 0,
          refused: false, refusedStatus: null, errorsThrough: 0, openedDirect: 0, openedThrough: 0,
          longestSilenceThroughMs: 0, longestEventGapThroughMs: 0, hopIdleLimitMs: facts.hopIdleLimitMs,
        };
        const seconds = ms => (ms / 1000).toFixed(1) + " s";
        const span = ms => String(Math.round(ms / 100) / 10) + " s";
        const element = id => document.getElementById(id);
        function text(id, value) { const e = element(id); if (e.textContent !== String(value)) e.textContent = value; }

        function makeLane(side) {
          return { side, open: false, expected: null, pending: 0, lastByte: null, lastEvent: null, closedAt: null, isRefused: false, wasCut: false, gap: null };
        }
        const lanes = { direct: makeLane("direct"), through: makeLane("through") };

        function log(side, kind, line) {
          const list = element("log-" + side), item = document.createElement("li"), time = document.createElement("time");
          const now = new Date();
          time.textContent = now.toTimeString().slice(0, 8) + "." + Math.floor(now.getMilliseconds() / 100);
          const words = document.createElement("span");
          words.textContent = line;
          words.className = kind;
          item.append(time, words);
          list.prepend(item);
          while (list.children.length > LINES) list.lastChild.remove();
        }
        function say(side, words) { text(side + "-say", words); }
        function keep(list, value) { list.push(value); if (list.length > LISTS) list.shift(); }

        function noteByte(lane, now) {
          if (lane.side === "through" && lane.open && lane.lastByte !== null)
            demo.longestSilenceThroughMs = Math.max(demo.longestSilenceThroughMs, Math.round(now - lane.lastByte));
          lane.lastByte = now;
        }
        function lose(lane, count) {
          if (lane.side === "direct") demo.lostDirect += count; else demo.lostThrough += count;
        }

        function opened(lane) {
          const now = performance.now();
          lane.open = true; lane.isRefused = false; lane.wasCut = false; lane.closedAt = null; lane.lastByte = now; lane.gap = null;
          if (lane.side === "direct") demo.openedDirect += 1; else demo.openedThrough += 1;
          timeline.open(lane.side, now);
        }
        function closed(lane) {
          if (!lane.open) return;
          const now = performance.now();
          lane.open = false; lane.closedAt = now;
          timeline.close(lane.side, now);
        }
        function greeted(lane, event) {
          const next = JSON.parse(event.data).next;
          noteByte(lane, performance.now());
          lane.pending = 0;
          const missed = lane.expected === null ? 0 : Math.max(0, next - lane.expected);
          lane.expected = next;
          if (missed > 0) {
            lose(lane, missed);
            log(lane.side, "bad", "back again; " + missed + (missed === 1 ? " event was" : " events were") + " lost meanwhile");
            if (lane.side === "direct") say("direct", "The browser is back by itself. Events that were sent in the meantime are lost, without an error.");
          }
        }
        function received(lane, event) {
          const now = performance.now(), seq = JSON.parse(event.data).seq;
          noteByte(lane, now);
          if (lane.expected !== null && seq > lane.expected) lose(lane, seq - lane.expected);
          lane.expected = Math.max(lane.expected ?? 0, seq + 1);
          if (lane.side === "through" && lane.gap !== null)
            demo.longestEventGapThroughMs = Math.max(demo.longestEventGapThroughMs, Math.round(now - lane.gap));
          lane.lastEvent = now; lane.gap = now;
          keep(demo[lane.side], seq);
          timeline.mark(lane.side, "event", now, seq);
          log(lane.side, "", "id: " + event.lastEventId + "  data: " + event.data);
          const other = lanes.direct;
          if (lane.side === "through" && !other.open && other.expected !== null && seq >= other.expected) {
            other.pending += 1;
            timeline.mark("direct", "missed", now, seq);
          }
        }

        // Today: first as it should be done, with the token in a header. An EventSource cannot.
        const directOrigin = location.protocol + "/" + "/" + location.hostname + ":" + facts.directPort;
        function askDirectly() {
          log("direct", "note", "GET /events");
          const source = new EventSource(directOrigin + "/events?page=" + page);
          source.onopen = () => { log("direct", "note", "opened: this backend wants no token"); source.close(); openDirectly(); };
          source.onerror = () => {
            if (source.readyState !== EventSource.CLOSED) {
              say("direct", "Port " + facts.directPort + " of " + location.hostname + " cannot be reached from this browser.");
              return;
            }
            demo.refused = true;
            lanes.direct.isRefused = true;
            timeline.mark("direct", "refused", performance.now());
            say("direct", "Refused with 401: the backend wants the header Authorization: Bearer, and an EventSource cannot send one. Next: let in without a token, to see how it goes on.");
            setTimeout(openDirectly, 1600);
          };
        }
        function openDirectly() {
          const lane = lanes.direct;
          log("direct", "note", "GET /events-open  (let in without a token)");
          const source = new EventSource(directOrigin + "/events-open?page=" + page);
          source.onopen = () => {
            opened(lane);
            if (demo.openedDirect === 1) say("direct", "Let in without a token, to see how it goes on. Now watch the silence.");
          };
          source.addEventListener("hello", event => greeted(lane, event));
          source.onmessage = event => received(lane, event);
          source.onerror = () => {
            closed(lane);
            if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(openDirectly, facts.reconnectMs); }
          };
        }

        // Through Heartwire: the token where an EventSource can put it.
        function openThrough() {
          const lane = lanes.through;
          log("through", "note", "GET /events?access_token=…");
          const source = new EventSource("/events?access_token=" + facts.token + "&page=" + page);
          source.onopen = () => {
            opened(lane);
            say("through", "Let in: Heartwire moved the token from the URL into Authorization: Bearer. While the backend is silent, a heartbeat each " + span(facts.heartbeatMs) + " keeps the connection alive.");
          };
          source.addEventListener("hello", event => greeted(lane, event));
          source.onmessage = event => received(lane, event);
          source.onerror = () => {
            if (lane.open) demo.errorsThrough += 1;
            closed(lane);
            say("through", "The connection is gone; is the demo still running?");
            if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(openThrough, 2000); }
          };
        }

        // What the load balancer sees and a page cannot.
        const sights = {
          heartbeat(lane) {
            const now = performance.now();
            noteByte(lane, now);
            if (lane.side === "through") demo.heartbeats += 1;
            timeline.mark(lane.side, "heartbeat", now);
            log(lane.side, "heartbeat", ":  (a heartbeat)");
          },
          cut(lane, sight) {
            const now = performance.now();
            if (lane.side === "direct") { demo.cutsDirect += 1; demo.cuts = demo.cutsDirect; } else demo.cutsThrough += 1;
            closed(lane);
            lane.wasCut = true;
            timeline.mark(lane.side, "cut", now);
            log(lane.side, "bad", "cut by the load balancer: " + seconds(sight.idleMilliseconds) + " without a byte");
            if (lane.side === "direct") say("direct", "Cut after " + seconds(sight.idleMilliseconds) + " of silence. The browser tries again after " + span(facts.reconnectMs) + ".");
          },
          refused(lane, sight) {
            if (lane.side === "direct") demo.refusedStatus = sight.status;
            log(lane.side, "bad", sight.status + (sight.status === 401 ? " Unauthorized  WWW-Authenticate: Bearer" : ""));
          },
        };
        function follow(begin) {
          let isBegun = false;
          const first = () => { if (!isBegun) { isBegun = true; begin(); } };
          const listen = () => {
            const source = new EventSource("/feed?page=" + page);
            source.onopen = first;
            source.onmessage = event => {
              const sight = JSON.parse(event.data), lane = lanes[sight.side], act = sights[sight.kind];
              if (lane && act) act(lane, sight);
            };
            source.onerror = () => { if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(listen, 2000); } };
          };
          listen();
          setTimeout(first, 2000);
        }

        function state(lane, now) {
          const age = lane.lastByte === null ? 0 : now - lane.lastByte;
          const quiet = lane.lastEvent === null ? 0 : now - lane.lastEvent;
          if (lane.isRefused) return ["refused", "refused: " + (demo.refusedStatus ?? 401)];
          if (lane.open && lane.side === "through" && quiet > 1300) return ["kept", "alive, backend silent for " + seconds(quiet)];
          if (lane.open && age > 1300) return ["silent", "silent for " + seconds(age)];
          if (lane.open) return ["alive", "alive"];
          if (lane.closedAt !== null) return ["cut", (lane.wasCut ? "cut" : "gone") + ", back in " + seconds(Math.max(0, lane.closedAt + facts.reconnectMs - now))];
          return ["waiting", "connecting"];
        }
        function show() {
          const now = performance.now();
          for (const lane of Object.values(lanes)) {
            const side = lane.side, isDirect = side === "direct", [name, words] = state(lane, now);
            element(side).dataset.state = name;
            text(side + "-state", words);
            text(side + "-received", demo[side].length);
            const lost = (isDirect ? demo.lostDirect : demo.lostThrough) + lane.pending, cuts = isDirect ? demo.cutsDirect : demo.cutsThrough;
            text(side + "-lost", lost);
            text(side + "-cuts", cuts);
            element(side + "-lost").className = lost > 0 ? "bad" : "";
            element(side + "-cuts").className = cuts > 0 ? "bad" : "";
            text(side + "-age", lane.lastEvent === null ? "–" : seconds(now - lane.lastEvent));
          }
          text("through-heartbeats", demo.heartbeats);
          element("through-heartbeats").className = demo.heartbeats > 0 ? "good" : "";
        }

        element("eight").href = "https:" + "/" + "/" + location.hostname + ":" + facts.securedPort + "/eight";
        const timeline = makeTimeline(element("timeline"), facts);
        follow(() => { openThrough(); askDirectly(); });
        setInterval(show, 100);
        """#
}
