// The page's link to the feed, and the words in which it says numbers. Invariant: whatever a client or a server sent is set as text.

extension Page {
    /// The script of the feed: `feed`, `state`, and small helpers.
    static let feedScript = #"""
        const $ = id => document.getElementById(id);
        const pageToken = document.querySelector("meta[name=page-token]").content;
        const state = {
          rows: new Map(), lines: [], hour: [], routes: [], causes: {}, hasEventLog: false, unshown: 0, isWhole: false,
          clock: 0, askedAt: 0, unixOffset: 0, onStreams: [], onLines: [], onHour: [], onFacts: [],
        };
        const tell = (listeners, ...what) => { for (const listener of listeners) listener(...what); };
        // The proxy's monotonic clock, as far as the page knows it.
        const now = () => performance.now() + state.clock;
        const unix = () => now() + state.unixOffset;
        const side = cause => (state.causes[cause] || ["proxy"])[0];

        function element(name, className, text) {
          const made = document.createElement(name);
          if (className) made.className = className;
          if (text !== undefined) made.textContent = text;
          return made;
        }
        function span(ms) {
          if (ms === null || ms === undefined || !isFinite(ms)) return "–";
          ms = Math.max(0, ms);
          if (ms < 1000) return Math.round(ms) + " ms";
          const s = ms / 1000;
          if (s < 10) return s.toFixed(1) + " s";
          if (s < 120) return Math.round(s) + " s";
          if (s < 7200) return Math.floor(s / 60) + " min";
          return s < 172800 ? (s / 3600).toFixed(1) + " h" : Math.round(s / 86400) + " d";
        }
        function exact(ms) {
          if (ms === null || ms === undefined) return "–";
          if (ms < 1000) return ms + " ms";
          const s = ms / 1000;
          return s < 600 ? s.toFixed(1) + " s" : span(ms);
        }
        const amount = n => n >= 1e6 ? (n / 1e6).toFixed(1) + " M" : n >= 1e4 ? Math.round(n / 1e3) + " k" : String(n);
        const size = n => n >= 1048576 ? (n / 1048576).toFixed(1) + " MiB" : n >= 1024 ? (n / 1024).toFixed(1) + " KiB" : n + " B";
        const clientOf = line => line.client_forwarded || (line.client || "").replace(/:\d+$/, "");
        const hopsOf = line => (line.hops || []).join(", ");
        const causeWords = cause => (cause || "").replaceAll("_", " ");
        const clockTime = text => { const date = new Date(text); return isNaN(date) ? "" : date.toLocaleTimeString([], {
          hour12: false }); };

        function rowOf(values) {
          const open = values[0];
          const row = {
            id: open.stream, open, startedAt: 0, route: open.route || "", path: open.path || "", client: clientOf(open),
            server: open.server || "", who: [open.agent, hopsOf(open)].filter(Boolean).join(" · "),
          };
          row.startedAt = Date.parse(open.time) - state.unixOffset;
          row.text = [row.id, row.route, row.path, open.host, row.client, open.client, row.server, row.who].join(" ").toLowerCase();
          numbersOf(row, values);
          return row;
        }
        function numbersOf(row, values) {
          [, row.events, row.beats, row.upstreamAt, row.clientAt, row.pending, row.isHeld] = values;
        }

        let feed = null, retryTimer = null, lastMessageAt = 0, eventsBefore = null;
        const rate = { events: null, times: [] };

        function link(text, which) { const shown = $("link"); shown.textContent = text; shown.dataset.state = which; }
        function on(name, take) {
          feed.addEventListener(name, message => { lastMessageAt = performance.now(); take(JSON.parse(message.data)); });
        }
        function connect() {
          feed = new EventSource("/feed");
          feed.onopen = () => { lastMessageAt = performance.now(); link("live", "live"); };
          feed.onerror = () => {
            link("connection lost, coming back", "lost");
            if (feed.readyState !== EventSource.CLOSED) return;
            // A browser does not come back by itself after an answer that is no stream.
            link("no feed: too many viewers, or the proxy is gone", "lost");
            clearTimeout(retryTimer);
            retryTimer = setTimeout(connect, 5000);
          };
          on("hello", facts => {
            Object.assign(state, { rows: new Map(), lines: [], isWhole: false, routes: facts.routes, causes: facts.causes,
              hasEventLog: facts.eventLog, clock: facts.now - performance.now(), askedAt: facts.now, unixOffset: facts.unix - facts.now });
            tell(state.onFacts); tell(state.onLines, []); tell(state.onStreams);
          });
          on("rows", message => {
            for (const values of message.rows) state.rows.set(values[0].stream, rowOf(values));
            tell(state.onStreams);
          });
          // The first viewer's rows come only when the workers have answered.
          on("whole", () => setTimeout(() => { state.isWhole = true; tell(state.onStreams); }, 1500));
          on("numbers", message => {
            state.clock = message.now - performance.now();
            state.askedAt = message.asked;
            state.unshown = message.unshown;
            let events = 0;
            for (const values of message.rows) {
              const row = state.rows.get(values[0]);
              if (!row) continue;
              events += Math.max(0, values[1] - row.events);
              numbersOf(row, values);
            }
            if (eventsBefore !== null) rate.events = events * 1000 / Math.max(200, message.now - eventsBefore);
            eventsBefore = message.now;
            tell(state.onStreams);
          });
          on("gone", message => { for (const id of message.streams) state.rows.delete(id); tell(state.onStreams); });
          on("lines", message => {
            for (const line of message.lines) if (line.event === "stream_end") state.rows.delete(line.stream);
            state.lines.push(...message.lines);
            // Each worker tells its own lines in their order.
            state.lines.sort((one, other) => one.time < other.time ? -1 : one.time > other.time ? 1 : 0);
            if (state.lines.length > 3000) state.lines.splice(0, state.lines.length - 3000);
            if (message.missed) notice(message.missed + " lines came faster than they could be shown; the logs have them");
            tell(state.onLines, message.lines); tell(state.onStreams);
          });
          on("hour", message => { state.hour = message.causes; tell(state.onHour); });
          on("findings", message => { state.findings = message; tell(state.onHour); });
          on("dropped", () => notice("This browser took the feed too slowly; the page has begun again with everything"));
        }
        setInterval(() => {
          if (feed && feed.readyState === EventSource.OPEN && performance.now() - lastMessageAt > 6000) link("no news for "
            + span(performance.now() - lastMessageAt), "slow");
          else if (feed && feed.readyState === EventSource.OPEN) link("live", "live");
        }, 1000);

        let noticeTimer = null;
        function notice(text) {
          const shown = $("notice");
          shown.textContent = text;
          shown.hidden = false;
          clearTimeout(noticeTimer);
          noticeTimer = setTimeout(() => { shown.hidden = true; }, 6000);
        }
        async function act(path, body) {
          const answer = await fetch(path, { method: "POST", body: JSON.stringify(body),
            headers: { "Content-Type": "application/json", "X-Heartwire-Page": pageToken } }).catch(() => null);
          if (!answer) return notice("The proxy does not answer");
          const words = (await answer.text()).trim();
          notice(words);
          return answer.ok;
        }

        """#
}
