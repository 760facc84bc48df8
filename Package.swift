// swift-tools-version: 6.2
// This file is the architecture: a target imports only targets above it in this list. Sources/README.md says what lives in each.

import PackageDescription

let house: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Overlapping accesses are checked in debug builds, in which all unit tests and the simulation run. In release builds the
/// checks were a third of an event's instructions.
let dataPath = house + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// What does most of the work in its tests is optimised in debug builds too: the simulated world and its judge, the method of `diagnose`
/// on hundreds of simulated logs, and the reader of the repository's text.
let optimised = house + [.unsafeFlags(["-O"])]

let package = Package(
    name: "heartwire",
    products: [.executable(name: "heartwire", targets: ["heartwire"])],
    targets: [
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "Marks", swiftSettings: dataPath),
        .target(name: "Bytes", swiftSettings: dataPath),
        .target(name: "EventStream", dependencies: ["Bytes", "Marks"], swiftSettings: dataPath),
        .target(name: "HTTP", dependencies: ["Bytes"], swiftSettings: dataPath),
        .target(name: "HTTP2", dependencies: ["Bytes", "HTTP"], swiftSettings: dataPath),
        .target(name: "ProbeScripts", dependencies: ["Bytes"], swiftSettings: house),
        .target(name: "Reactor", dependencies: ["Bytes", "Marks", "CLinux", "COpenSSL"], swiftSettings: dataPath),
        .target(name: "Credentials", dependencies: ["Bytes", "COpenSSL"], swiftSettings: dataPath),
        .target(name: "Telemetry", dependencies: ["Bytes", "Reactor", "Credentials"], swiftSettings: dataPath),
        .target(
            name: "Diagnosis", dependencies: ["Bytes", "Telemetry"], exclude: ["Hops/idle-timeouts.tsv"],
            swiftSettings: dataPath + [.unsafeFlags(["-O"])]),
        .target(name: "Configuration", dependencies: ["Bytes", "EventStream", "HTTP", "Credentials"], swiftSettings: house),
        .target(
            name: "Probing",
            dependencies: ["EventStream", "HTTP", "HTTP2", "ProbeScripts", "Reactor", "Credentials", "Telemetry", "Diagnosis"],
            swiftSettings: house),
        .target(
            name: "Downstreams", dependencies: ["Marks", "HTTP", "HTTP2", "Reactor", "Configuration"], exclude: ["README.md"],
            swiftSettings: dataPath),
        .target(name: "Upstreams", dependencies: ["Marks", "HTTP", "Reactor", "Configuration"], swiftSettings: dataPath),
        .target(
            name: "Services", dependencies: ["Bytes", "HTTP", "Reactor", "Credentials", "Telemetry", "Configuration", "Upstreams"],
            swiftSettings: house),
        .target(
            name: "Exchanges",
            dependencies: [
                "Bytes", "Marks", "EventStream", "HTTP", "ProbeScripts", "Reactor", "Credentials", "Telemetry", "Configuration",
                "Downstreams", "Upstreams", "Services",
            ],
            swiftSettings: dataPath),
        .target(
            name: "Console",
            dependencies: ["Bytes", "HTTP", "Reactor", "Credentials", "Telemetry", "Diagnosis", "Configuration", "Downstreams"],
            swiftSettings: house),
        .target(
            name: "Proxy",
            dependencies: [
                "HTTP", "Reactor", "Credentials", "Telemetry", "Configuration", "Downstreams", "Upstreams", "Exchanges", "Console",
            ],
            swiftSettings: dataPath),
        .target(
            name: "Demo", dependencies: ["Bytes", "EventStream", "HTTP", "Reactor", "Configuration", "Proxy"], swiftSettings: house),
        .target(
            name: "Replay", dependencies: ["HTTP", "Reactor", "Telemetry", "Configuration", "Downstreams"], swiftSettings: house),
        .executableTarget(
            name: "heartwire",
            dependencies: ["Diagnosis", "Probing", "Credentials", "Configuration", "Proxy", "Telemetry", "Reactor", "Demo", "Replay"],
            swiftSettings: house),
        .target(name: "ReferenceEventSource", path: "Tests/ReferenceEventSource", swiftSettings: optimised),
        .target(name: "TestSupport", dependencies: ["Marks", "Reactor", "Telemetry"], path: "Tests/TestSupport", swiftSettings: house),
        .testTarget(name: "BytesTests", dependencies: ["Bytes"], swiftSettings: house),
        .testTarget(
            name: "EventStreamTests", dependencies: ["Marks", "EventStream", "ReferenceEventSource", "TestSupport"], swiftSettings: house),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "HTTP2Tests", dependencies: ["HTTP2", "HTTP", "TestSupport"], exclude: ["HPACK/other-encoders.txt"],
            swiftSettings: house),
        .testTarget(name: "ReactorTests", dependencies: ["Marks", "Reactor", "COpenSSL", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "CredentialsTests", dependencies: ["Credentials", "TestSupport"], exclude: ["Vectors"], swiftSettings: house),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "Reactor", "Credentials", "TestSupport"], swiftSettings: house),
        .testTarget(name: "DiagnosisTests", dependencies: ["Diagnosis", "Telemetry", "TestSupport"], swiftSettings: optimised),
        .testTarget(
            name: "ConfigurationTests", dependencies: ["Configuration", "Credentials", "EventStream", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "ProbingTests", dependencies: ["Probing", "ProbeScripts", "Credentials", "Reactor", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "UpstreamsTests", dependencies: ["Marks", "Upstreams", "Services", "HTTP", "Reactor", "Configuration", "TestSupport"],
            swiftSettings: house),
        .testTarget(
            name: "ServicesTests", dependencies: ["Services", "HTTP", "Credentials", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "ConsoleTests",
            dependencies: ["Console", "HTTP", "Reactor", "Credentials", "Telemetry", "Configuration", "Downstreams", "TestSupport"],
            swiftSettings: house),
        .testTarget(
            name: "ProxyTests",
            dependencies: [
                "Marks",
                "Proxy", "Exchanges", "Services", "EventStream", "HTTP", "Reactor", "Credentials", "Telemetry", "Configuration",
                "Downstreams", "Upstreams", "ProbeScripts", "TestSupport",
            ],
            swiftSettings: house),
        .testTarget(
            name: "ReplayTests", dependencies: ["Replay", "Telemetry", "Reactor", "Downstreams", "TestSupport"], swiftSettings: house),
        .testTarget(name: "DemoTests", dependencies: ["Demo", "Reactor", "Configuration", "Proxy", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "Marks",
                "Proxy", "Console", "Exchanges", "Downstreams", "Upstreams", "HTTP2", "HTTP", "Reactor", "Telemetry", "Configuration",
                "Credentials", "EventStream", "Diagnosis", "ProbeScripts",
                "ReferenceEventSource", "COpenSSL", "TestSupport",
            ],
            swiftSettings: optimised),
        .testTarget(name: "TidyTests", swiftSettings: optimised),
    ],
    swiftLanguageModes: [.v6]
)
