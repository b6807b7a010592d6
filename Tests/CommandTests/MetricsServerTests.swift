// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `reservewatch metrics` as a service, in a directory of its own.
private final class Server {
    let directory: String
    let socket: String
    private let process = Process()
    private let errors = Pipe()

    init(_ arguments: [String], through: [String] = [], listens: Bool = true) throws {
        directory = NSTemporaryDirectory() + "/metrics-\(UUID().uuidString.prefix(8))"
        socket = directory + "/s"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            through + [Command.binary, "metrics"] + arguments
            + (listens && through.isEmpty ? ["--listen", "unix:\(socket)"] : [])
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        try process.run()
        if listens {
            try wait { FileManager.default.fileExists(atPath: self.socket) }
        }
    }

    deinit {
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: directory)
    }

    func end() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    func freeze() { kill(process.processIdentifier, SIGSTOP) }
    func thaw() { kill(process.processIdentifier, SIGCONT) }

    func complaints() -> String {
        String(decoding: errors.fileHandleForReading.availableData, as: UTF8.self)
    }

    /// Ten seconds at most.
    func wait(_ isThere: () throws -> Bool) throws {
        for _ in 0..<100 {
            if try isThere() { return }
            try #require(process.isRunning, "it ended: \(complaints())")
            usleep(100_000)
        }
        Issue.record("it did not come within ten seconds")
    }

    /// A connection that has sent nothing.
    func connect() throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            for (index, byte) in socket.utf8.enumerated() { bytes[index] = byte }
        }
        let status = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(status == 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    func ask(_ request: String) throws -> String {
        let descriptor = try connect()
        defer { close(descriptor) }
        var bytes = Array(request.utf8)
        while !bytes.isEmpty {
            let count = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            if count <= 0 { break }
            bytes.removeFirst(count)
        }
        return read(descriptor)
    }

    func read(_ descriptor: Int32) -> String {
        var answer: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count <= 0 { break }
            answer += bytes[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }

    func get(_ path: String, accept: String = "*/*") throws -> String {
        try ask("GET \(path) HTTP/1.1\r\nHost: x\r\nAccept: \(accept)\r\n\r\n")
    }
}

private func body(_ answer: String) -> Substring {
    guard let end = answer.firstRange(of: "\r\n\r\n") else { return "" }
    return answer[end.upperBound...]
}

@Suite struct MetricsServerTests {
    private let nowhere = ["--box", "/nowhere/box"]
    private let recorded = ["--replay", Fixture.recording("wire-pull-6.12"), "--speed", "1000"]

    @Test func withoutAnAgentItServesThatItIsNotUp() throws {
        let server = try Server(nowhere)
        let page = try server.get("/metrics")
        #expect(page.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(page.contains("\nreservewatch_up 0\n"))
        #expect(!page.contains("reservewatch_verdict"))
        let health = try server.get("/healthz")
        #expect(health.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(body(health).contains("start one: reservewatch agent"))
        #expect(server.end() == 0)
        #expect(!FileManager.default.fileExists(atPath: server.socket))
    }

    @Test func theFormatIsNegotiatedAndTold() throws {
        let server = try Server(recorded)
        let text = try server.get("/metrics")
        #expect(text.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        let length = try #require(text.firstMatch(of: /Content-Length: (\d+)\r\n/)).output.1
        #expect(Int(length) == body(text).utf8.count)
        let open = try server.get("/metrics", accept: "application/openmetrics-text")
        let type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        #expect(open.contains("\r\nContent-Type: \(type)\r\n"))
        #expect(open.hasSuffix("\n# EOF\n"))
        #expect(open.contains("reservewatch_exporter_scrapes_total{format=\"text\"} 1\n"))
        #expect(try server.get("/healthz").hasPrefix("HTTP/1.1 200 OK\r\n"))
        let landing = try server.get("/")
        #expect(landing.contains("text/html") && landing.contains("href=\"/metrics\""))
    }

    @Test func whatItDoesNotServeItRefuses() throws {
        let server = try Server(nowhere)
        #expect(try server.get("/etc/passwd").hasPrefix("HTTP/1.1 404 "))
        let post = try server.ask("POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        #expect(post.hasPrefix("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET, HEAD\r\n"))
        #expect(try server.ask("nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        let long = "GET / HTTP/1.1\r\nX: \(String(repeating: "a", count: 100_000))"
        #expect(try server.ask(long).hasPrefix("HTTP/1.1 431 "))
        let head = try server.ask("HEAD /metrics HTTP/1.1\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 200 ") && body(head).isEmpty)
        #expect(
            try server.get("/metrics").contains(
                "unserved_connections_total{reason=\"refused\"} 4\n"))
    }

    @Test func clientsThatAreSlowHoldUpNobody() throws {
        let server = try Server(recorded)
        var silent: [Int32] = []
        defer { silent.forEach { close($0) } }
        for index in 0..<40 {
            let descriptor = try server.connect()
            silent.append(descriptor)
            // Half of them begin a request, and one in four reads nothing of its answer.
            if index % 2 == 0 { send(descriptor, "GET /", 5, Int32(MSG_NOSIGNAL)) }
            if index % 4 == 1 {
                send(descriptor, "GET /metrics HTTP/1.1\r\n\r\n", 25, Int32(MSG_NOSIGNAL))
            }
        }
        let began = ContinuousClock.now
        for _ in 0..<5 {
            #expect(try server.get("/metrics").contains("\nreservewatch_up 1\n"))
        }
        #expect(ContinuousClock.now - began < .seconds(3))
        let page = try server.get("/metrics")
        let evicted = try #require(page.firstMatch(of: /reason="evicted"} (\d+)/)).output.1
        #expect(try #require(Int(evicted)) >= 10)
    }

    /// Over TCP with a small window: the answer goes out in parts, as the client takes it.
    @Test func anAnswerThatIsTakenSlowlyIsWholeAndOthersAreServedMeanwhile() throws {
        let port = UInt16.random(in: 20000..<30000)
        let server = try Server(recorded + ["--listen", "127.0.0.1:\(port)"], listens: false)
        func connect(window: Int32) throws -> Int32 {
            let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var window = window
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &window, socklen_t(MemoryLayout<Int32>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
            let isThere = withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            if !isThere {
                close(descriptor)
                return -1
            }
            let request = "GET /metrics HTTP/1.1\r\n\r\n"
            send(descriptor, request, request.utf8.count, Int32(MSG_NOSIGNAL))
            return descriptor
        }
        var slow: [Int32] = []
        defer { slow.forEach { close($0) } }
        try server.wait {
            let first = try connect(window: 1024)
            if first >= 0 { slow.append(first) }
            return first >= 0
        }
        for _ in 0..<8 { slow.append(try connect(window: 1024)) }
        usleep(500_000)
        let began = ContinuousClock.now
        let fast = try connect(window: 1 << 20)
        defer { close(fast) }
        #expect(body(server.read(fast)).hasSuffix("left_out_samples 0\n"))
        #expect(ContinuousClock.now - began < .seconds(2))
        for descriptor in slow {
            let answer = server.read(descriptor)
            let length = try #require(answer.firstMatch(of: /Content-Length: (\d+)/)).output.1
            #expect(body(answer).utf8.count == Int(length))
        }
    }

    @Test func aClientThatSendsWithoutEndLeavesOthersTheirTurn() throws {
        let server = try Server(recorded)
        let flood = try server.connect()
        let request = "GET /metrics HTTP/1.1\r\n\r\n"
        send(flood, request, request.utf8.count, Int32(MSG_NOSIGNAL))
        let sender = Thread {
            let bytes = [UInt8](repeating: 65, count: 65536)
            while send(flood, bytes, bytes.count, Int32(MSG_NOSIGNAL)) > 0 {}
        }
        sender.start()
        defer { close(flood) }
        for _ in 0..<5 {
            #expect(try server.get("/metrics").contains("\nreservewatch_up 1\n"))
        }
    }

    @Test func socketsThatWereForAnotherProcessAreLeftAlone() throws {
        let server = try Server(
            nowhere + ["--textfile", "page.prom"],
            through: ["env", "LISTEN_PID=1", "LISTEN_FDS=1"], listens: false)
        try server.wait {
            FileManager.default.fileExists(atPath: server.directory + "/page.prom")
        }
        #expect(server.end() == 0)
    }

    @Test func aRequestThatNeverEndsIsEndedAtItsDeadline() throws {
        let server = try Server(nowhere)
        let silent = try server.connect()
        defer { close(silent) }
        let began = ContinuousClock.now
        #expect(server.read(silent).isEmpty)
        let took = ContinuousClock.now - began
        #expect(took > .seconds(4) && took < .seconds(9), "\(took)")
        #expect(
            try server.get("/metrics").contains(
                "unserved_connections_total{reason=\"deadline\"} 1\n"))
    }

    @Test func anAddressThatIsTakenIsNamed() throws {
        let server = try Server(nowhere)
        let second = try Command(["metrics", "--listen", "unix:\(server.socket)"])
        #expect(second.status == 71)
        #expect(second.errors.contains("cannot listen on unix:\(server.socket)"))
        #expect(try server.get("/metrics").contains("reservewatch_up"))
    }

    @Test(arguments: [
        "9479", "localhost:9479", "127.0.0.1", "127.0.0.1:99999", "[::1:1", "unix:relative",
    ])
    func whatIsNoAddressIsWrongUsage(address: String) throws {
        #expect(try Command(["metrics", "--listen", address]).status == 64)
    }

    @Test func socketsOfSystemdAreTaken() throws {
        let tests = (Fixture.directory as NSString).deletingLastPathComponent
        let server = try Server(nowhere, through: ["python3", tests + "/Prometheus/activate.py"])
        #expect(try server.get("/metrics").contains("\nreservewatch_up 0\n"))
        #expect(server.end() == 0)
    }

    @Test func theTextfileIsAlwaysWholeAndGoesWithItsWriter() throws {
        let server = try Server(
            recorded + ["--textfile", "page.prom", "--interval", "1"], listens: false)
        let file = server.directory + "/page.prom"
        try server.wait { FileManager.default.fileExists(atPath: file) }
        var changes: Set<String> = []
        for _ in 0..<250 {
            let page = try String(contentsOfFile: file, encoding: .utf8)
            #expect(page.hasPrefix("# HELP reservewatch_up "))
            #expect(page.hasSuffix("\nreservewatch_exporter_left_out_samples 0\n"))
            let scrapes = page.firstMatch(of: /scrapes_total{format="text"} (\d+)/)?.output.1
            changes.insert(String(try #require(scrapes)))
            usleep(10_000)
        }
        #expect(changes.count >= 3)
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions]
        #expect(mode as? Int == 0o644)
        #expect(try FileManager.default.contentsOfDirectory(atPath: server.directory).count == 1)
        #expect(server.end() == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: server.directory).isEmpty)
    }

    @Test func aTextfileThatCannotBeWrittenIsNamed() throws {
        let command = try Command(["metrics", "--textfile", "/nowhere/page.prom"] + nowhere)
        #expect(command.status == 73)
        #expect(command.errors.contains("/nowhere/page.prom"))
    }
}

@Suite struct MetricsPageCommandTests {
    private static let hasPromtool =
        ProcessInfo.processInfo.environment["CI"] != nil
        || (try? run(["sh", "-c", "command -v promtool"], input: "")) == 0

    private static func run(_ words: [String], input: String) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        let pipe = Pipe()
        process.standardInput = pipe
        process.standardOutput = FileHandle.standardError
        try process.run()
        try? pipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? pipe.fileHandleForWriting.close()
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test(.enabled(if: hasPromtool, "needs promtool"), arguments: Fixture.names)
    func promtoolFindsNothing(name: String) throws {
        let once = try Command(["metrics", "--once", "--replay", Fixture.recording(name)])
        #expect(once.status == 0)
        #expect(once.errors.isEmpty)
        #expect(try Self.run(["promtool", "check", "metrics"], input: once.output) == 0)
        // A check that cannot fail would prove nothing.
        let wrong = once.output + "# TYPE reservewatch_x_total gauge\nreservewatch_x_total 1\n"
        #expect(try Self.run(["promtool", "check", "metrics"], input: wrong) != 0)
    }

    @Test func aPageWithoutAnAgentSaysSoInStatusAndText() throws {
        let once = try Command(["metrics", "--once", "--box", "/nowhere/box"])
        #expect(once.status == 75)
        #expect(once.output.contains("\nreservewatch_up 0\n"))
        #expect(once.errors.contains("start one: reservewatch agent"))
    }

    @Test func whatAnOldAgentDidNotCountIsAbsent() throws {
        let old = try Command(["metrics", "--once", "--replay", Fixture.recording("wire-1")])
        #expect(old.output.contains("\nreservewatch_allocstall_total "))
        for absent in ["kswapd_wakes", "slabs_", "pressure_", "below_min", "agent_cpu"] {
            #expect(!old.output.contains("reservewatch_\(absent)"), "\(absent)")
        }
    }

    /// The number that docs/prometheus.md names.
    @Test(arguments: Fixture.names) func aHostHasAFewHundredSeries(name: String) throws {
        let once = try Command(["metrics", "--once", "--replay", Fixture.recording(name)])
        let series = once.output.split(separator: "\n").count { !$0.hasPrefix("#") }
        #expect(series > 250 && series < 600, "\(series)")
    }
}

@Suite struct PrometheusTests {
    private static let hasPrometheus =
        ProcessInfo.processInfo.environment["CI"] != nil
        || FileManager.default.isExecutableFile(atPath: "/usr/bin/prometheus")

    private func run(_ script: String, _ arguments: [String]) throws {
        let tests = (Fixture.directory as NSString).deletingLastPathComponent
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "\(tests)/Prometheus/\(script)"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(String(decoding: said, as: UTF8.self))")
    }

    /// The script says what is asked; it takes half a minute.
    @Test(.enabled(if: hasPrometheus, "needs prometheus"), .timeLimit(.minutes(2)))
    func aRealPrometheusScrapesIt() throws {
        try run(
            "prometheus.py",
            [
                Command.binary, Fixture.recording("wire-pull-6.12"),
                Fixture.recording("scraped-6.12"),
            ])
    }

    /// Fifty hosts, and two Prometheus that share them; docs/fleet.md has the thousand.
    @Test(.enabled(if: hasPrometheus, "needs prometheus"), .timeLimit(.minutes(2)))
    func aFleetIsSharedByTwo() throws {
        try run(
            "../Fleet/fleet.py",
            [
                Command.binary, Fixture.recording("scraped-6.12"), "--hosts", "50", "--seconds",
                "15", "--interval", "1", "--shards", "2",
            ])
    }

    @Test(.enabled(if: hasPrometheus, "needs promtool"), .timeLimit(.minutes(2)))
    func rulesFireWhenTheyShouldAndOnlyThen() throws {
        try run("rules.py", [Command.binary, Fixture.directory])
    }
}

@Suite(.serialized, .enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
struct MetricsOfALiveAgentTests {
    private func start(box: String, sizeKiB: Int = 4096) throws -> Process {
        let agent = Process()
        agent.executableURL = URL(fileURLWithPath: Command.binary)
        agent.arguments = [
            "agent", "--box", box, "--box-size", "\(sizeKiB)", "--priority", "0",
        ]
        agent.standardOutput = FileHandle.nullDevice
        agent.standardError = FileHandle.nullDevice
        try agent.run()
        return agent
    }

    @Test func agentsComeAndGo() throws {
        let box = "/dev/shm/metrics-\(getpid())/box"
        defer {
            try? FileManager.default.removeItem(
                atPath: (box as NSString).deletingLastPathComponent)
        }
        let server = try Server(["--box", box])
        #expect(try server.get("/metrics").contains("\nreservewatch_up 0\n"))
        for round in 1...2 {
            let agent = try start(box: box)
            defer { if agent.isRunning { agent.terminate() } }
            try server.wait { try server.get("/healthz").hasPrefix("HTTP/1.1 200 ") }
            try server.wait {
                try server.get("/metrics").contains("reservewatch_verdict{state=\"unknown\"} 0\n")
            }
            let page = try server.get("/metrics")
            #expect(page.contains("\nreservewatch_up 1\n"))
            #expect(page.contains("reservewatch_memory_condition{state=\"unknown\"} 0\n"))
            #expect(page.contains("\nreservewatch_exporter_box_opens_total \(round)\n"))
            #expect(page.contains("\nreservewatch_allocstall_total "))
            #expect(page.contains("\nreservewatch_agent_locked_bytes "))
            let age = try #require(page.firstMatch(of: /beat_age_seconds ([0-9.]+)\n/)).output.1
            #expect(try #require(Double(age)) < 2)
            agent.terminate()
            agent.waitUntilExit()
            try server.wait { try server.get("/metrics").contains("\nreservewatch_up 0\n") }
            #expect(try server.get("/healthz").contains("has ended"))
        }
    }

    /// As when the host froze it: what passed it by is counted, and the totals are right.
    @Test(.timeLimit(.minutes(2))) func whatWasOverwrittenIsCountedAndReadUp() throws {
        let box = "/dev/shm/metrics-lost-\(getpid())/box"
        defer {
            try? FileManager.default.removeItem(
                atPath: (box as NSString).deletingLastPathComponent)
        }
        let agent = try start(box: box, sizeKiB: 64)
        defer {
            agent.terminate()
            agent.waitUntilExit()
        }
        let server = try Server(["--box", box])
        try server.wait { try server.get("/metrics").contains("\nreservewatch_agent_beats_total ") }
        func beats() throws -> Int {
            let page = try server.get("/metrics")
            return try #require(
                page.firstMatch(of: /agent_beats_total (\d+)/).flatMap { Int($0.output.1) })
        }
        let before = try beats()
        server.freeze()
        sleep(12)
        server.thaw()
        let page = try server.get("/metrics")
        #expect(page.contains("\nreservewatch_up 1\n"))
        let skipped = page.firstMatch(of: /skipped_records_total (\d+)/).flatMap {
            Int($0.output.1)
        }
        #expect(try #require(skipped) > 0)
        #expect(page.contains("reservewatch_verdict{state=\"unknown\"} 0\n"))
        #expect(page.contains("\nreservewatch_build_info{"))
        #expect(try beats() >= before + 50, "the loop turned ten times a second meanwhile")
    }
}
