// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveKernel
import ReserveModel
import ReserveSinks

/// Serves metrics to whoever asks, and writes them to a file: one thread, one poll loop.
///
/// A client that is slow holds up nobody: what it does not take waits in its own buffer until
/// its deadline. When all places are taken, the oldest client makes room for the newest.
public struct MetricsServer<Feed: MetricsFeed & ~Copyable>: ~Copyable {
    private var feed: Feed
    private var listeners: [Int32] = []
    private var owned: Listener?
    private var connections: [Connection] = []
    private var facts = ReaderFacts()
    private var textfile: Textfile?
    private var toldProblem: String?
    /// No connection is taken until the next turn.
    private var isPaused = false

    static var mostConnections: Int { 16 }
    private static var advanceMilliseconds: UInt64 { 1000 }

    /// - Parameters:
    ///   - address: beside what systemd handed over.
    ///   - otherwise: where there is neither that nor an address nor a file.
    public init(
        feed: consuming Feed, address: ListenAddress?, textfile: Textfile?,
        otherwise: ListenAddress?
    ) throws(WatchError) {
        self.feed = feed
        self.textfile = textfile
        listeners = try Listener.inherited()
        let isBare = listeners.isEmpty && textfile == nil
        if let address = address ?? (isBare ? otherwise : nil) {
            let listener = try Listener(address)
            listeners.append(listener.descriptor)
            owned = consume listener
        }
    }

    deinit {
        for connection in connections { close(connection.descriptor) }
    }

    /// Serves until SIGINT, SIGTERM or SIGHUP.
    public mutating func run() throws(WatchError) {
        let signals = rw_open_signals()
        if signals < 0 { throw .resources(operation: "watch for signals", errno: signals) }
        defer { close(signals) }
        var nextAdvance: UInt64 = 0
        while true {
            let now = rw_boot_ns()
            if now >= nextAdvance {
                isPaused = false
                feed.advance()
                tellProblem()
                nextAdvance = now &+ Self.advanceMilliseconds &* 1_000_000
            }
            try writeTextfile(now: now)
            endLate(now: now)
            if wait(signals, until: nextAdvance) { break }
        }
        textfile?.remove()
    }

    /// The page as it is now, for those who want one only.
    public mutating func page(_ format: MetricsFormat) -> [UInt8] {
        feed.advance()
        feed.describe(&facts)
        let began = rw_boot_ns()
        let page = MetricsPage(format, picture: feed.picture, reader: facts)
        facts.lastPageNanoseconds = rw_boot_ns() &- began
        switch format {
        case .text: facts.scrapes.text &+= 1
        case .openmetrics: facts.scrapes.openMetrics &+= 1
        }
        return page.bytes
    }

    public var problem: String? { feed.problem }

    /// Once for each: an agent that is not there is no error, but somebody should know.
    private mutating func tellProblem() {
        let problem = feed.problem
        // The seconds of a late beat change all the time.
        let kind = problem.map { String($0.prefix(24)) }
        guard kind != toldProblem else { return }
        toldProblem = kind
        printError(problem.map { "serving no fresh data: \($0)" } ?? "the agent is there")
    }

    private mutating func writeTextfile(now: UInt64) throws(WatchError) {
        guard var file = textfile, file.isDue(at: now) else { return }
        let status = file.write(page(.text), now: now)
        if status != 0 {
            guard file.hasSucceeded else { throw .output(path: file.path, errno: status) }
            facts.textfileErrors &+= 1
        }
        textfile = file
    }

    // MARK: connections

    /// - Returns: whether a signal asks to end.
    private mutating func wait(_ signals: Int32, until next: UInt64) -> Bool {
        var entries = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        for listener in listeners {
            let descriptor = isPaused ? -1 : listener
            entries.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
        for connection in connections {
            entries.append(pollfd(fd: connection.descriptor, events: connection.events, revents: 0))
        }
        var until = next
        for connection in connections { until = min(until, connection.deadline) }
        if let due = textfile?.nextNanoseconds { until = min(until, due) }
        let now = rw_boot_ns()
        let milliseconds = until > now ? (until - now) / 1_000_000 + 1 : 0
        guard poll(&entries, nfds_t(entries.count), Int32(milliseconds)) > 0 else { return false }
        if entries[0].revents != 0 {
            let signal = rw_read_signal(signals)
            if signal == SIGINT || signal == SIGTERM || signal == SIGHUP { return true }
        }
        let served = connections.count
        for index in 0..<served where entries[1 + listeners.count + index].revents != 0 {
            serve(index)
        }
        removeDone()
        for index in listeners.indices where entries[1 + index].revents != 0 {
            accept(from: listeners[index])
        }
        return false
    }

    private mutating func accept(from listener: Int32) {
        // As many as there are places: then the others have their turn.
        for _ in 0..<Self.mostConnections {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else {
                // Without a descriptor to give, the next try is at the next turn, not at once.
                if errno != EAGAIN, errno != ECONNABORTED, errno != EINTR { isPaused = true }
                return
            }
            guard Listener.setNonBlocking(descriptor) else {
                close(descriptor)
                continue
            }
            if connections.count == Self.mostConnections {
                if connections[0].step != .draining { facts.evictedConnections &+= 1 }
                close(connections.removeFirst().descriptor)
            }
            connections.append(Connection(descriptor: descriptor, now: rw_boot_ns()))
            serve(connections.count - 1)
        }
        removeDone()
    }

    private mutating func serve(_ index: Int) {
        let now = rw_boot_ns()
        if connections[index].step == .writing {
            connections[index].write(now: now)
            return
        }
        guard let parsed = connections[index].read() else { return }
        let answer: [UInt8]
        switch parsed {
        case .incomplete: return
        case .refused(let status):
            facts.refusedRequests &+= 1
            answer = HTTPAnswer(status: status).bytes(withBody: true)
        case .request(let request): answer = self.answer(to: request)
        }
        connections[index].answer(answer, now: rw_boot_ns())
    }

    private mutating func answer(to request: HTTPRequest) -> [UInt8] {
        guard request.method != .other else {
            facts.refusedRequests &+= 1
            return HTTPAnswer(status: 405).bytes(withBody: true)
        }
        let answer: HTTPAnswer
        switch request.path {
        case "/metrics":
            let format = MetricsFormat.negotiated(accept: request.accept)
            answer = HTTPAnswer(status: 200, type: format.contentType, body: page(format))
        case "/healthz":
            feed.advance()
            let problem = feed.problem
            answer = HTTPAnswer(
                status: problem == nil ? 200 : 503, sentence: problem ?? "the agent is well")
        case "/":
            feed.advance()
            answer = HTTPAnswer(
                status: 200, type: "text/html; charset=utf-8",
                body: Array(landingPage(problem: feed.problem).utf8))
        default:
            facts.refusedRequests &+= 1
            answer = HTTPAnswer(status: 404)
        }
        return answer.bytes(withBody: request.method == .get)
    }

    private mutating func endLate(now: UInt64) {
        for index in connections.indices where connections[index].deadline <= now {
            if connections[index].step != .draining { facts.lateConnections &+= 1 }
            close(connections[index].descriptor)
        }
        connections.removeAll { $0.deadline <= now }
    }

    private mutating func removeDone() {
        for connection in connections where connection.step == .done {
            close(connection.descriptor)
        }
        connections.removeAll { $0.step == .done }
    }
}

private func landingPage(problem: String?) -> String {
    let state = problem.map { "Not fresh: \(escaped($0))." } ?? "The agent is well."
    return """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>ReserveWatch</title></head>
        <body><h1>ReserveWatch \(agentVersion)</h1>
        <p>How this host lives off its memory reserves while it swaps over the network.</p>
        <p>\(state)</p>
        <ul><li><a href="/metrics">/metrics</a>: for Prometheus, as text or OpenMetrics</li>
        <li><a href="/healthz">/healthz</a>: 200 while the agent's loop turns, else 503</li></ul>
        </body></html>

        """
}

private func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text {
        switch character {
        case "<": escaped += "&lt;"
        case ">": escaped += "&gt;"
        case "&": escaped += "&amp;"
        case "\"": escaped += "&quot;"
        default: escaped.append(character)
        }
    }
    return escaped
}

/// One answer of HTTP/1.1; each ends its connection.
struct HTTPAnswer {
    var status: Int
    var type: String
    var body: [UInt8]

    init(status: Int, type: String, body: [UInt8]) {
        self.status = status
        self.type = type
        self.body = body
    }

    init(status: Int, sentence: String? = nil) {
        self.init(
            status: status, type: "text/plain; charset=utf-8",
            body: Array("\(sentence ?? Self.reason(status))\n".utf8))
    }

    func bytes(withBody: Bool) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(Self.reason(status))\r\n"
        head += "Content-Type: \(type)\r\n"
        head += "Content-Length: \(body.count)\r\n"
        if status == 405 { head += "Allow: GET, HEAD\r\n" }
        head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        head += "Connection: close\r\n\r\n"
        return Array(head.utf8) + (withBody ? body : [])
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: return "OK"
        case 400: return "Bad Request"
        case 404: return "Not Found"
        case 405: return "Method Not Allowed"
        case 431: return "Request Header Fields Too Large"
        case 503: return "Service Unavailable"
        case 505: return "HTTP Version Not Supported"
        default: return "Error"
        }
    }
}
