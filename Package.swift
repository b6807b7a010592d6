// swift-tools-version: 6.3;(experimentalCGen)
// SPDX-License-Identifier: Apache-2.0
//
// The opt-in after the version lets the CompileBPF plugin generate a C source,
// the BPF object, embedded. docs/decisions/0004-one-bpf-object-programs-by-facts.md
// tells what to do should it go away.

import PackageDescription

let swift: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
    name: "reservewatch",
    products: [
        .executable(name: "reservewatch", targets: ["ReserveWatch"]),
        .executable(name: "reservewatch-agent", targets: ["reservewatch-agent"]),
        .executable(name: "reservewatch-forward", targets: ["reservewatch-forward"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")
    ],
    targets: [
        .target(name: "CRecord", cSettings: c),
        .target(name: "CLinux", cSettings: c),
        // The hands: threads and the keeper, which act on the host and take it back.
        .target(name: "CHand", dependencies: ["CRecord", "CLinux"], cSettings: c),
        .target(
            name: "CBPF",
            dependencies: ["CRecord"],
            cSettings: c,
            linkerSettings: [.linkedLibrary("bpf"), .linkedLibrary("elf"), .linkedLibrary("z")],
            plugins: ["CompileBPF"]
        ),
        .plugin(name: "CompileBPF", capability: .buildTool()),
        .target(name: "ReserveModel", swiftSettings: swift),
        // When to act on the host by rules: pure, as the model is.
        .target(name: "ReservePolicy", dependencies: ["ReserveModel"], swiftSettings: swift),
        .target(
            name: "ReserveRecord", dependencies: ["CRecord", "ReserveModel"], swiftSettings: swift),
        .target(
            name: "ReserveKernel", dependencies: ["CBPF", "CLinux"], swiftSettings: swift),
        .target(
            name: "ReserveBox", dependencies: ["CLinux", "CRecord"], swiftSettings: swift),
        // libzstd: the seam is its header.
        .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
        .target(
            name: "ReserveStore",
            dependencies: ["CRecord", "CLinux", "CZstd", "ReserveBox", "ReserveRecord"],
            swiftSettings: swift),
        .target(
            name: "ReserveSinks", dependencies: ["CLinux", "ReserveModel"], swiftSettings: swift),
        // Systemd-style files, and what may stand in them; knows none of those it configures.
        .target(name: "ReserveConfig", swiftSettings: swift),
        // The hand: what changes the host, and how it is undone.
        .target(
            name: "ReserveEnforce", dependencies: ["CLinux", "ReserveKernel", "ReserveRecord"],
            swiftSettings: swift),
        .target(
            name: "ReserveAgent",
            dependencies: [
                "CBPF", "CHand", "CLinux", "CRecord", "ReserveBox", "ReserveKernel",
                "ReserveModel", "ReservePolicy", "ReserveRecord", "ReserveSinks",
            ],
            swiftSettings: swift),
        // Not a part of the sinks: the watch links those, and is locked into memory whole.
        .target(
            name: "ReserveReport", dependencies: ["ReserveModel", "ReserveSinks"],
            resources: [.embedInCode("page.css"), .embedInCode("page.js")],
            swiftSettings: swift),
        // The watch by itself: small, for it is locked into memory whole.
        .executableTarget(
            name: "reservewatch-agent", dependencies: ["ReserveAgent", "ReserveKernel"],
            path: "Sources/AgentMain", swiftSettings: swift),
        .target(
            name: "CCurl", cSettings: c, linkerSettings: [.linkedLibrary("curl")]),
        .target(
            name: "ReserveForward",
            dependencies: [
                "CLinux", "CRecord", "ReserveBox", "ReserveConfig", "ReserveModel",
                "ReserveRecord", "ReserveSinks",
            ],
            swiftSettings: swift),
        // By itself: it alone is linked to libcurl, which cannot be had as a static library.
        .executableTarget(
            name: "reservewatch-forward",
            dependencies: ["CCurl", "ReserveForward", "ReserveSinks"],
            path: "Sources/ForwardMain", swiftSettings: swift),
        .executableTarget(
            name: "ReserveWatch",
            dependencies: [
                "CBPF", "CLinux", "CRecord", "ReserveAgent", "ReserveBox", "ReserveConfig",
                "ReserveEnforce", "ReserveForward", "ReserveModel", "ReserveKernel",
                "ReservePolicy", "ReserveRecord", "ReserveReport",
                "ReserveSinks", "ReserveStore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swift),
        .target(name: "LabKit", path: "Tests/Lab/Kit", swiftSettings: swift),
        .executableTarget(
            name: "reservelab", dependencies: ["LabKit", "ReserveKernel"],
            path: "Tests/Lab/Runner", swiftSettings: swift),
        .testTarget(
            name: "ReserveModelTests", dependencies: ["ReserveModel"], swiftSettings: swift),
        // The hands without the watch, for tests to end in every way.
        .executableTarget(
            name: "handtrial", dependencies: ["CHand"], path: "Tests/Hand", cSettings: c),
        .testTarget(name: "ReserveHandTests", dependencies: ["handtrial"], swiftSettings: swift),
        .testTarget(
            name: "ReservePolicyTests", dependencies: ["ReserveModel", "ReservePolicy"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveRecordTests", dependencies: ["CRecord", "ReserveModel", "ReserveRecord"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveConfigTests", dependencies: ["ReserveConfig"], swiftSettings: swift),
        .testTarget(
            name: "ReserveStoreTests",
            dependencies: ["CRecord", "ReserveBox", "ReserveRecord", "ReserveStore"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveSinksTests", dependencies: ["ReserveModel", "ReserveSinks"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveReportTests", dependencies: ["ReserveModel", "ReserveReport"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveKernelTests", dependencies: ["CBPF", "ReserveKernel"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveEnforceTests",
            dependencies: ["CLinux", "ReserveEnforce", "ReserveKernel"],
            swiftSettings: swift),
        .testTarget(
            name: "ReserveAgentTests",
            dependencies: [
                "CLinux", "CRecord", "ReserveAgent", "ReserveKernel", "ReserveModel",
                "ReservePolicy",
            ],
            swiftSettings: swift),
        // Runs the built program as a user would; `swift test` builds it first.
        .testTarget(name: "CommandTests", swiftSettings: swift),
        .testTarget(
            name: "ReserveBoxTests", dependencies: ["CRecord", "ReserveBox"],
            swiftSettings: swift),
        // Plays a recording into a box, as an agent would: for tests of what reads boxes.
        .executableTarget(
            name: "boxfeed",
            dependencies: [
                "CLinux", "CRecord", "ReserveBox", "ReserveModel", "ReserveRecord",
                "ReserveStore",
            ],
            path: "Tests/BoxFeed", swiftSettings: swift),
        .testTarget(
            name: "ReserveForwardTests",
            dependencies: [
                "CRecord", "ReserveBox", "ReserveConfig", "ReserveForward", "ReserveModel",
                "ReserveSinks",
            ],
            swiftSettings: swift),
        .testTarget(name: "LabTests", dependencies: ["LabKit"], swiftSettings: swift),
    ],
    swiftLanguageModes: [.v6]
)
