// The help texts of the command line, as they are printed.
//
// Invariant: they name every option that `CommandLine.verbs` knows, and lines fit into 80 columns.

enum Help {
    static let overview = """
        Heartwire keeps event streams (Server-Sent Events) alive on their way to the
        browser: it stands in front of a server that cannot be changed, sends heartbeats
        into silent streams, turns a query token or a cookie into an Authorization
        header, and logs why every stream ended. Everything else passes through.

        Usage: heartwire COMMAND [OPTIONS]

        Commands:
          proxy    run a proxy in front of one server, described by options
          run      run the proxy that a configuration file describes
          check    look for errors in a configuration file, and run nothing
          diagnose read logs and say which timeout or which hop ends the streams
          probe    measure what the hops on the way to a URL do to event streams
          replay   play a recording of a stream as a backend
          demo     watch a stream die of silence, and the same stream survive
          completions
                   print the script that completes commands and options in a shell

        Options:
          --help       this text; 'heartwire COMMAND --help' explains a command
          --version    the version

        Example:
          heartwire proxy --upstream http://127.0.0.1:9000 --listen 127.0.0.1:8080

        Ends with 0 when all went well, 64 for a mistake on the command line, 78 for one
        in a configuration file, 66 when a file cannot be read, 69 when an address is not
        available.

        """

    static let proxy = """
        Runs a proxy in front of one server until SIGTERM or SIGINT.

        Usage: heartwire proxy --upstream URL --listen HOST:PORT [OPTIONS]

          --upstream URL           the server: HOST:PORT, http://HOST:PORT,
                                   https://HOST:PORT or unix:/PATH (required)
          --listen HOST:PORT       where clients connect; *:PORT is every address of the
                                   machine (required)
          --tls-certificate FILE   speak TLS to clients, and HTTP/2 to those that choose
                                   it: the certificate with its chain
          --tls-key FILE           the certificate's key, in PEM, not encrypted
          --upstream-ca FILE       trust these authorities for an https:// server, not
                                   the system's
          --heartbeat DURATION     after how long a silence an event stream gets a
                                   comment: 100ms to 1h, or off (default 15s)
          --bearer-from query:NAME
          --bearer-from cookie:NAME
                                   take a bearer token from this query parameter or
                                   cookie and send it as Authorization; may be repeated
          --workers N              how many threads work; 0 is one per core (default 0)
          --stream-log FILE|-|off  a JSON line when an event stream opens and one when
                                   it ends, with the cause; - is standard output
                                   (default -)
          --access-log FILE|-|off  a JSON line for every other exchange (default off)
          --event-log FILE|-|off   a JSON line for each event that is passed on, without
                                   its data, and for each heartbeat (default off)
          --help                   this text

        SIGUSR1 reopens the log files, SIGHUP reads certificates again, SIGUSR2 lets a
        new process of the program take over. For more than one server, routes, limits
        and timeouts, write a configuration file: see 'heartwire run --help'.

        Example: a page opens new EventSource("/events?access_token=..."), the server
        on port 9000 wants "Authorization: Bearer ...":
          heartwire proxy --upstream http://127.0.0.1:9000 --listen 127.0.0.1:8080 \\
            --bearer-from query:access_token

        """

    static let run = """
        Runs the proxy that a configuration file describes until SIGTERM or SIGINT.
        Then it stops accepting, lets exchanges finish within the grace period, ends
        event streams cleanly, and ends with 0.

        Usage: heartwire run --config FILE

          --config FILE    the configuration; conf/heartwire.conf is one to begin with,
                           conf/README.md the reference (required)
          --help           this text

        SIGUSR1 reopens the log files, SIGHUP reads the file and its certificates
        again, SIGUSR2 lets a new process of the program take over.

        Example:
          heartwire run --config conf/heartwire.conf

        """

    static let check = """
        Reads a configuration file and the certificates that it names, reports all
        errors and warnings, and runs nothing. Ends with 0 if the file can be used,
        with 78 if not.

        Usage: heartwire check --config FILE

          --config FILE    the configuration (required)
          --help           this text

        Example: restart a service only with a file that can be used:
          heartwire check --config heartwire.conf && systemctl restart heartwire

        """

    static let diagnose = """
        Reads the logs of this proxy and says why streams end: after how many seconds,
        on which side, which hop it may be, which setting to change and to what, and
        what is excluded. What it is not sure of stands apart, as remarks.

        Usage: heartwire diagnose [--json] [--html FILE] LOG...

          LOG            a stream log; access and event logs add to it. Rotated ones in
                         any order, packed by gzip or not; - is standard input
          --json         one object of JSON instead of text
          --html FILE    a page with the same and with plots, too
          --help         this text

        Ends with 0 whether or not something was found, with 66 when a log cannot be
        read. conf/diagnose.md describes what it finds, and how.

        Example:
          heartwire diagnose --html why.html /var/log/heartwire/streams.jsonl*

        """

    static let probe = """
        Measures what the hops between here and a URL do to event streams: who cuts them
        and after how many seconds, who holds events back, what passes. Probe only hosts
        that are yours.

        Usage: heartwire probe [OPTIONS] URL

          URL                  an event stream, or with --secret-file the path of this
                               proxy's probe_endpoint
          --secret-file FILE   the secret of the endpoint; without it a URL is only
                               watched, and much cannot be told
          --for DURATION       search limits for so long (2s to 55m; default 75s), and
                               run all steps: 10m finds limits up to ten minutes
          --steps LIST         only these steps, such as 1-4,9: 1 head, 2 first event,
                               3 buffering, 4 comments, 5 idle and absolute limits,
                               6 forgetting hops, 7 heartbeat, 8 late head, 9 leaving,
                               10 width and caches (default 1-5,9)
          --http 1.1|2         speak only this version of HTTP. Without it the server
                               chooses over https (HTTP/2 if it can, as for browsers),
                               and HTTP/1.1 is spoken over http
          --header 'NAME: VALUE'
                               add a field to each request; may be repeated
          --connect-to HOST:PORT:ADDR:PORT
                               connect elsewhere for a host and port, as curl does: past
                               one hop after another; may be repeated
          --ca FILE            trust these authorities, not the system's
          --json               one object of JSON instead of text
          --help               this text

        A quick run takes under two minutes and makes at most 14 connections. Ends with
        0 whether or not something was found, 69 when no probe could be made, 66 when
        the secret cannot be read. conf/probe.md describes the steps.

        Example:
          heartwire probe --secret-file probe.secret https://example.com/heartwire-probe

        """

    static let replay = """
        Plays a recording as a backend: every GET is answered with the stream that was
        recorded (see 'record' in conf/README.md), from its beginning, at its own
        times, and cut where it was cut. Ends with SIGTERM or SIGINT.

        Usage: heartwire replay FILE --listen HOST:PORT [--speed N]

          FILE                  the recording
          --listen HOST:PORT    where clients connect (required)
          --speed N             play it N times as fast, 1 to 1000 (default 1)
          --help                this text

        Example: see what broke a client, with the proxy in between:
          heartwire replay 20261128T071233.123Z-w1-000042.recording \\
            --listen 127.0.0.1:9000
          heartwire proxy --upstream 127.0.0.1:9000 --listen 127.0.0.1:8080

        """

    static let demo = """
        Shows what Heartwire does. One process runs a server that wants a token and is
        often silent, a hop that cuts idle connections, the proxy, and a page: on the
        left the stream without Heartwire, on the right the same stream through it. A
        second page, over TLS, shows eight streams at once, over HTTP/1.1 and HTTP/2.

        Usage: heartwire demo [--listen HOST:PORT]

          --listen HOST:PORT    where the page is served (default 127.0.0.1:8080); the
                                next two ports are used too, or others if those are
                                taken
          --help                this text

        Example:
          heartwire demo
        and open http://127.0.0.1:8080/ in a browser.

        """

    static let completions = """
        Prints the script that completes the commands and options of heartwire in a
        shell. The packages install it.

        Usage: heartwire completions SHELL

          SHELL     bash, zsh or fish
          --help    this text

        Example:
          source <(heartwire completions bash)

        """
}
