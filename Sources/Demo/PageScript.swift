// What the page does: opens the three streams as any page would, with a real EventSource each, listens to the feed of
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
          direct: [], through: [], kept: [], lostDirect: 0, lostThrough: 0, lostKept: 0, cutsDirect: 0, cutsThrough: 0, cutsKept: 0, cuts: 0,
          heartbeats: 0, cutsBehind: 0, lateKept: 0, gapsKept: 0,
          refused: false, refusedStatus: null, errorsThrough: 0, openedDirect: 0, openedThrough: 0, openedKept: 0,
          longestSilenceThroughMs: 0, longestEventGapThroughMs: 0, hopIdleLimitMs: facts.hopIdleLimitMs,
        };
        const seconds = ms => (ms / 1000).toFixed(1) + " s";
        const span = ms => String(Math.round(ms / 100) / 10) + " s";
        const element = id => document.getElementById(id);
        function text(id, value) { const e = element(id); if (e.textContent !== String(value)) e.textContent = value; }

        function makeLane(side) {
          return { side, open: false, expected: null, pending: 0, lastByte: null, lastEvent: null, closedAt: null, isRefused: false, wasCut: false, gap: null };
        }
        const lanes = { direct: makeLane("direct"), through: makeLane("through"), kept: makeLane("kept") };
        const named = (count, lane) => count + lane.side[0].toUpperCase() + lane.side.slice(1);

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
        function lose(lane, count) { demo[named("lost", lane)] += count; }

        function opened(lane) {
          const now = performance.now();
          lane.open = true; lane.isRefused = false; lane.wasCut = false; lane.closedAt = null; lane.lastByte = now; lane.gap = null;
          demo[named("opened", lane)] += 1;
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
        // How much later an event came than the promptest one; the server's clock may differ from the browser's.
        let promptest = Infinity;
        function lateness(event) {
          const age = Date.now() - JSON.parse(event.data).time;
          promptest = Math.min(promptest, age);
          return age - promptest;
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
          const late = lateness(event);
          if (lane.side === "kept" && late > 250) {
            demo.lateKept += 1;
            timeline.mark("kept", "late", now - late, seq);
          } else timeline.mark(lane.side, "event", now, seq);
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

        // Cut on both sides: Heartwire asks the server again, keeps what it sends, and gives it to the browser that comes back.
        function openKept() {
          const lane = lanes.kept;
          log("kept", "note", "GET /events-kept?access_token=…");
          const source = new EventSource("/events-kept?access_token=" + facts.token + "&page=" + page);
          source.onopen = () => {
            opened(lane);
            if (demo.openedKept === 1) say("kept", "No heartbeats here, so both load balancers cut in each silence. Heartwire asks the backend again at once, and keeps what it sends while the browser is away.");
          };
          source.addEventListener("hello", event => greeted(lane, event));
          source.addEventListener("stream_gap", event => {
            demo.gapsKept += 1;
            log("kept", "note", "event: stream_gap  data: " + event.data);
            say("kept", "The browser is back and gets what it missed, each event once. It is told as well that the backend was gone for a moment (stream_gap): this backend keeps nothing, so Heartwire cannot know whether it has said something then.");
          });
          source.onmessage = event => received(lane, event);
          source.onerror = () => {
            closed(lane);
            if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(openKept, 2000); }
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
            demo[named("cuts", lane)] += 1;
            demo.cuts = demo.cutsDirect;
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
        function cutBehind(sight) {
          demo.cutsBehind += 1;
          timeline.mark("kept", "behind", performance.now());
          log("kept", "bad", "cut by the load balancer behind Heartwire: " + seconds(sight.idleMilliseconds) + " without a byte");
        }
        function follow(begin) {
          let isBegun = false;
          const first = () => { if (!isBegun) { isBegun = true; begin(); } };
          const listen = () => {
            const source = new EventSource("/feed?page=" + page);
            source.onopen = first;
            source.onmessage = event => {
              const sight = JSON.parse(event.data), lane = lanes[sight.side], act = sights[sight.kind];
              if (lane && act) act(lane, sight);
              else if (sight.side === "behind" && sight.kind === "cut") cutBehind(sight);
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
            const side = lane.side, [name, words] = state(lane, now);
            element(side).dataset.state = name;
            text(side + "-state", words);
            text(side + "-received", demo[side].length);
            const lost = demo[named("lost", lane)] + lane.pending, cuts = demo[named("cuts", lane)];
            text(side + "-lost", lost);
            text(side + "-cuts", cuts);
            element(side + "-lost").className = lost > 0 ? "bad" : "";
            element(side + "-cuts").className = cuts > 0 ? "bad" : "";
            text(side + "-age", lane.lastEvent === null ? "–" : seconds(now - lane.lastEvent));
          }
          text("kept-behind", demo.cutsBehind);
          text("kept-late", demo.lateKept);
          text("kept-gaps", demo.gapsKept);
          for (const [id, isBad] of [["kept-behind", true], ["kept-late", false]])
            element(id).className = element(id).textContent === "0" ? "" : isBad ? "bad" : "good";
          text("through-heartbeats", demo.heartbeats);
          element("through-heartbeats").className = demo.heartbeats > 0 ? "good" : "";
        }

        element("eight").href = "https:" + "/" + "/" + location.hostname + ":" + facts.securedPort + "/eight";
        const timeline = makeTimeline(element("timeline"), facts);
        follow(() => { openThrough(); openKept(); askDirectly(); });
        setInterval(show, 100);
        """#
}
