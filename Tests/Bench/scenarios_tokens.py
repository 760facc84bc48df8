"""What is measured of routes that check tokens: Heartwire alone, with the check against without. Scenarios as in scenarios.py."""

import dataclasses

from scenarios import Figure, Part, Scenario, Tokens, memory, per

# More than a worker remembers, so that each token of the row has been forgotten when it comes again.
FORGOTTEN = 1200
IDENTITIES = 1000
SIGNATURES = "heartwire_token_signatures_total"

request = per("proxy_ns", "responses", 1e-3)


def ours(name: str) -> bool:
    return name.startswith("Heartwire")


def late(result: dict) -> float:
    return result["latency_us"]["99"]


def scenarios(streams: int, brief: bool) -> list[Scenario]:
    """`streams` is how many are held; `brief` is for the self-test, which needs no true figures and has no time to sign many tokens."""
    forgotten = 40 if brief else FORGOTTEN
    small = Part("tokens, no check", "/small", ["--repeat", "--warm-ms", "200"], streams=32, saturates=True, contenders=ours,
                 tokens=Tokens("ES256", 1, are_checked=False), figures=[Figure("small", "CPU, a token that nobody checks", "µs/request", request)])
    remembered = dataclasses.replace(
        small, name="tokens, remembered", tokens=Tokens("ES256", 1),
        figures=[Figure("small", "CPU, a token that was checked before", "µs/request", request),
                 Figure("ratio", "the same, against no check", "times", lambda it, other: request(it) / request(other), beside=small.name)])
    claims = dataclasses.replace(
        remembered, name="tokens, claims", tokens=Tokens("ES256", 1, have_claims=True),
        figures=[Figure("ratio", "the same with a scope that is required and a claim for the server, against no check", "times",
                        lambda it, other: request(it) / request(other), beside=small.name)])
    first = [dataclasses.replace(
        small, name=f"tokens, {algorithm}", tokens=Tokens(algorithm, forgotten),
        figures=[Figure("first", f"CPU, the first time of an {algorithm} token, above one checked before", "µs/request",
                        lambda it, other: request(it) - request(other), beside=remembered.name)])
        for algorithm in ("ES256", "RS256", "EdDSA", "ES384")]
    # All of them from the beginning: what counts is how many signatures a worker verifies for so many reconnects.
    calm = Part("token-storm, no check", "/leave", ["--repeat", "--leave-after", "3", "--warm-ms", "0", "--most", "10000"], streams=32, window=20,
                saturates=True, contenders=ours, tokens=Tokens("ES256", IDENTITIES, are_checked=False), metric=SIGNATURES,
                figures=[Figure("close", "CPU, no check", "µs/reconnect", request)])
    storm = dataclasses.replace(
        calm, name="token-storm", tokens=Tokens("ES256", IDENTITIES),
        figures=[Figure("verified", f"verified for 10,000 reconnects of {IDENTITIES:,} identities", "signatures", lambda it: it[SIGNATURES]),
                 Figure("close", f"CPU, {IDENTITIES:,} identities", "µs/reconnect", request),
                 Figure("identity", "the difference, for each identity", "µs",
                        lambda it, other: (request(it) - request(other)) * it["responses"] / IDENTITIES, beside=calm.name)])
    # A bystander without a token, beside 32 clients that ask as fast as they are answered.
    flood = ["--path", "/small", "--streams", "32", "--repeat", "--window-ms", "600000"]
    good = Part("token-flood, good", "/fan", ["--warm-ms", "300"], streams=100, interval_ms=100, window=2, contenders=ours,
                tokens=Tokens("ES256", 1), flood=flood, figures=[Figure("latency", "a bystander's latency, good tokens, 99 %", "µs", late)])
    forged = [dataclasses.replace(
        good, name=f"token-flood, {algorithm}", tokens=Tokens(algorithm, forgotten, are_forged=True), flood=[*flood, "--status", "401"],
        figures=[Figure("latency", f"a bystander's latency, forged {algorithm}, 99 %", "µs", late),
                 Figure("slower", "the same, against good tokens", "times", lambda it, other: late(it) / late(other), beside=good.name)])
        for algorithm in ("ES256", "ES384")]
    # Beyond the tokens that a worker remembers whatever streams there are, so that only what each stream adds is counted.
    first_streams = "100" if brief else "1200"
    idle = Part("token-idle, no check", "/idle", ["--first", first_streams, "--warm-ms", "1000"], streams=streams, window=0.2, contenders=ours,
                tokens=Tokens("ES256", streams, are_checked=False), figures=[Figure("memory", "memory, no check", "KiB/stream", memory)])
    ending = dataclasses.replace(
        idle, name="token-idle", tokens=Tokens("ES256", streams),
        figures=[Figure("memory", "memory, each with a token of its own", "KiB/stream", memory),
                 Figure("each", "the difference", "bytes/stream", lambda it, other: (memory(it) - memory(other)) * 1024, beside=idle.name)])
    return [
        Scenario("tokens", "requests with tokens that are checked", [small, remembered, claims, *first]),
        Scenario("token-storm", f"10,000 reconnects with {IDENTITIES:,} identities", [calm, storm]),
        Scenario("token-flood", "a bystander beside forged tokens", [good, *forged]),
        Scenario("token-idle", f"{streams:,} idle streams whose tokens end", [idle, ending]),
    ]
