// The page's style, for light and dark mode, for desktops and phones. Each colour has one meaning: green is alive, red is lost, amber is
// silence, blue is an event, violet is the proxy's own doing. Words say the same without colour.

extension Page {
    /// The style sheet.
    static let style = #"""
        :root {
          --ground: #f6f5f2; --card: #ffffff; --ink: #1b222c; --soft: #5b6472; --line: #dfdcd5; --faint: #f1efea; --chosen: #e3ecff;
          --event: #2459c7; --alive: #0b7a5c; --dead: #c0322a; --silence: #8f6200; --own: #6d3fb5;
          --client: #b4472a; --upstream: #2459c7; --proxy: #6d3fb5; --shade: rgba(217, 154, 27, .2);
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #11151b; --card: #191f28; --ink: #e7ebf1; --soft: #9ba6b5; --line: #2d3642; --faint: #202833; --chosen: #24375c;
            --event: #86adff; --alive: #42cf9f; --dead: #ff7468; --silence: #e9b44c; --own: #bb9cf5;
            --client: #ff9a7a; --upstream: #86adff; --proxy: #bb9cf5; --shade: rgba(233, 180, 76, .16);
          }
        }
        * { box-sizing: border-box; }
        [hidden] { display: none !important; }
        html, body { height: 100%; }
        body {
          margin: 0; padding: 10px 14px 14px; display: flex; flex-direction: column; gap: 10px; background: var(--ground);
            color: var(--ink);
          font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
        }
        h1, h2, p, dl, dd { margin: 0; }
        h1 { display: flex; align-items: center; gap: 7px; font-size: 19px; letter-spacing: -.01em; }
        h1 svg { width: 26px; height: 26px; fill: none; stroke: var(--alive); stroke-width: 3; stroke-linecap: round;
          stroke-linejoin: round; }
        h2 { font-size: 14px; font-weight: 650; }
        .soft { color: var(--soft); }
        .number, td, dd { font-variant-numeric: tabular-nums; }
        header { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 18px; }
        header dl { display: flex; gap: 22px; margin-left: auto; }
        header dt { font-size: 11px; color: var(--soft); }
        header dd { font-size: 18px; font-weight: 650; line-height: 1.15; }
        header nav { display: none; }
        #link { font-size: 12px; font-weight: 600; padding: 1px 10px; border: 1px solid currentColor; border-radius: 99px;
          color: var(--dead); }
        #link[data-state="live"] { color: var(--alive); }
        #link[data-state="slow"] { color: var(--silence); }
        main { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(0, 1fr) minmax(330px, 400px); gap: 10px; }
        aside { min-height: 0; display: grid; grid-template-rows: auto minmax(0, 1fr); gap: 10px; }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; min-width: 0; min-height: 0; }
        .bar { display: flex; align-items: center; gap: 8px; flex-wrap: wrap; }
        .card > .bar { padding: 8px 12px; border-bottom: 1px solid var(--line); }
        input, select, button {
          font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 3px 9px;
          min-width: 0;
        }
        button { cursor: pointer; background: var(--faint); }
        button:hover { border-color: var(--soft); }
        button[aria-pressed="true"] { background: var(--chosen); border-color: var(--event); }
        button.danger { color: var(--dead); border-color: currentColor; }
        button:disabled { opacity: .55; cursor: default; }
        :focus-visible { outline: 2px solid var(--event); outline-offset: 1px; }
        #search { flex: 1 1 220px; }
        kbd {
          font: 12px/1 ui-monospace, monospace; color: var(--soft); border: 1px solid var(--line); border-bottom-width: 2px;
            border-radius: 5px;
          padding: 3px 7px;
        }

        #streams { display: flex; flex-direction: column; overflow: hidden; }
        #heads, .row {
          display: grid; align-items: center; gap: 10px; padding: 0 12px;
          grid-template-columns: minmax(90px, 1.1fr) minmax(90px, 1.5fr) minmax(110px, 1.2fr) minmax(100px,
            1.1fr) 54px 82px 94px 56px 58px minmax(70px, 1fr);
        }
        #heads { height: 30px; border-bottom: 1px solid var(--line); scrollbar-gutter: stable; overflow: hidden; flex: none; }
        #heads button {
          background: none; border: 0; padding: 0; font-size: 12px; font-weight: 600; color: var(--soft); text-align: left;
            overflow: hidden;
          text-overflow: ellipsis; white-space: nowrap;
        }
        #heads button.number, .row .number { text-align: right; }
        #heads button[data-order]::after { content: " ▲"; font-size: 9px; }
        #heads button[data-order="down"]::after { content: " ▼"; }
        #heads button[data-order] { color: var(--ink); }
        #rows { flex: 1; min-height: 120px; overflow: hidden auto; position: relative; scrollbar-gutter: stable; outline-offset: -2px; }
        #space { position: relative; }
        .row { position: absolute; left: 0; right: 0; height: 29px; border-bottom: 1px solid var(--faint); cursor: pointer;
          font-size: 13px; }
        .row:hover { background: var(--faint); }
        .row[aria-selected="true"] { background: var(--chosen); }
        .row > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .row .route { color: var(--soft); }
        .row .quiet { color: var(--silence); }
        .row .waits { color: var(--dead); font-weight: 600; }
        .row .held { color: var(--own); }
        .empty { padding: 26px 16px; color: var(--soft); text-align: center; }

        #causes { padding: 10px 12px; overflow-y: auto; max-height: 46vh; display: grid; gap: 8px; align-content: start; }
        #causes h2 .soft { font-weight: 400; }
        .cause {
          display: grid; grid-template-columns: 9px minmax(0, 1fr) 76px 44px; align-items: center; gap: 8px; width: 100%;
            padding: 2px 4px;
          border: 0; background: none; text-align: left; font-size: 13px;
        }
        .cause:hover, .cause[aria-pressed="true"] { background: var(--chosen); }
        .cause svg { width: 76px; height: 18px; }
        .cause rect { fill: currentColor; }
        .cause .number { text-align: right; font-weight: 600; }
        .dot { width: 9px; height: 9px; border-radius: 3px; background: currentColor; }
        .client { color: var(--client); } .upstream { color: var(--upstream); } .proxy { color: var(--proxy); }
        .cause .name { color: var(--ink); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .route-line { display: flex; align-items: center; gap: 8px; padding: 2px 4px; font-size: 13px; }
        .route-line .name { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .route-line button { font-size: 12px; padding: 1px 8px; }
        .finding { font-size: 13px; border-left: 3px solid var(--silence); padding: 1px 0 1px 9px; margin: 6px 0; }
        .finding b { display: block; font-weight: 600; }
        .finding summary { cursor: pointer; color: var(--soft); }
        .finding.remark { border-color: var(--line); color: var(--soft); }

        #tail { display: flex; flex-direction: column; overflow: hidden; }
        #tail .bar { gap: 6px; }
        #tail select { max-width: 112px; }
        #tail-client { width: 84px; flex: 1; }
        #tail-list { overflow-y: auto; flex: 1; min-height: 100px; padding: 4px 0; scrollbar-gutter: stable; }
        .line {
          display: grid; grid-template-columns: 62px minmax(0, 1fr) auto; gap: 2px 8px; padding: 4px 12px; font-size: 13px;
            cursor: pointer;
          border-bottom: 1px solid var(--faint);
        }
        .line:hover { background: var(--faint); }
        .line time { color: var(--soft); font-variant-numeric: tabular-nums; }
        .line .what { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .line .what.opened { color: var(--alive); font-weight: 500; }
        .line .long { font-variant-numeric: tabular-nums; }
        .line .silent { color: var(--silence); font-variant-numeric: tabular-nums; text-align: right; }
        .line .long { text-align: right; }
        .line .who { grid-column: 2; color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

        dialog {
          border: 1px solid var(--line); border-radius: 12px; background: var(--card); color: var(--ink); padding: 14px 16px;
            max-height: 92vh;
          width: min(960px, calc(100vw - 24px)); box-shadow: 0 18px 60px rgba(0, 0, 0, .3);
        }
        dialog::backdrop { background: rgba(10, 14, 20, .45); }
        dialog[open] { display: grid; gap: 12px; }
        dialog h2 { font-size: 16px; overflow-wrap: anywhere; }
        #detail-close { margin-left: auto; }
        .badge { font-size: 12px; font-weight: 600; padding: 1px 9px; border: 1px solid currentColor; border-radius: 99px; }
        .badge.alive { color: var(--alive); }
        .stage { background: var(--faint); border-radius: 9px; padding: 8px; min-width: 0; }
        canvas { display: block; width: 100%; height: 150px; }
        #scales button { font-size: 12px; padding: 1px 8px; }
        #detail-facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 8px 16px; }
        #detail-facts dt { font-size: 12px; color: var(--soft); }
        #detail-facts dd { overflow-wrap: anywhere; }
        #detail-end { border-left: 3px solid currentColor; padding: 2px 0 2px 10px; }
        #detail-end p { color: var(--ink); }
        #detail-end p.soft { color: var(--soft); }
        #detail-events { overflow: auto; max-height: 30vh; }
        table { border-collapse: collapse; width: 100%; font-size: 13px; }
        th { text-align: left; font-size: 12px; font-weight: 600; color: var(--soft); position: sticky; top: 0; background: var(--card); }
        th, td { padding: 2px 10px 2px 0; white-space: nowrap; max-width: 260px; overflow: hidden; text-overflow: ellipsis; }
        td.beat { color: var(--alive); }
        #notice {
          position: fixed; left: 50%; bottom: 18px; transform: translateX(-50%); background: var(--ink); color: var(--ground);
            padding: 8px 16px;
          border-radius: 9px; max-width: calc(100vw - 32px);
        }

        @media (max-width: 1380px) { #heads, .row {
          grid-template-columns: minmax(80px, 1fr) minmax(90px, 1.4fr) minmax(90px, 1.1fr) 54px 82px 94px 56px 58px; }
          #heads > :nth-child(4), .row > :nth-child(4), #heads > :nth-child(10), .row > :nth-child(10) { display: none; }
        }
        @media (max-width: 860px) {
          body { padding: 8px; gap: 8px; }
          header { gap: 4px 12px; }
          header dl { margin-left: 0; gap: 0; width: 100%; justify-content: space-between; order: 3; }
          header nav { display: flex; gap: 6px; width: 100%; order: 4; }
          header nav button { flex: 1; padding: 7px; }
          [data-view="streams"] [data-show="streams"], [data-view="tail"] [data-show="tail"], [data-view="causes"] [data-show="causes"] {
            background: var(--chosen); border-color: var(--event); }
          main { display: flex; flex-direction: column; }
          aside { display: contents; }
          main #streams, main #tail, main #causes { display: none; }
          [data-view="streams"] main #streams, [data-view="tail"] main #tail { display: flex; flex: 1; }
          [data-view="causes"] main #causes { display: grid; flex: 1; max-height: none; }
          #heads, .row { grid-template-columns: minmax(0, 1fr) 54px 88px 54px; gap: 8px; }
          .row { height: 29px; }
          #heads > :nth-child(1), .row > :nth-child(1), #heads > :nth-child(3), .row > :nth-child(3), #heads > :nth-child(4),
            .row > :nth-child(4), #heads > :nth-child(7),
          .row > :nth-child(7), #heads > :nth-child(9), .row > :nth-child(9), #heads > :nth-child(10), .row > :nth-child(10) {
            display: none; }
          .bar kbd { display: none; }
          input, select, button { font-size: 16px; }
          #heads button { font-size: 12px; }
        }
        @media (prefers-reduced-motion: no-preference) { #notice { transition: opacity .2s; } }
        """#
}
