// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc
import ReserveForward
import ReserveSinks

/// One libcurl for all destinations: each has a slot, and a connection that is kept.
final class CurlSender: HTTPSender {
    private let http: OpaquePointer
    private var results: [HTTPResult?]
    private let agent: String

    /// - Parameter agent: the requests' User-Agent.
    init?(slots: Int, agent: String) {
        guard let http = rw_http_open(UInt32(slots)) else { return nil }
        self.http = http
        self.agent = agent
        results = Array(repeating: nil, count: slots)
    }

    deinit { rw_http_close(http) }

    func start(_ slot: Int, _ call: HTTPCall) -> Int32 {
        begin(slot, call) { rw_http_start(http, UInt32(slot), &$0) }
    }

    func connect(_ slot: Int, _ call: HTTPCall) -> Int32 {
        begin(slot, call) { rw_http_connect(http, UInt32(slot), &$0) }
    }

    private func begin(
        _ slot: Int, _ call: HTTPCall, _ begin: (inout rw_http_request) -> Int32
    ) -> Int32 {
        results[slot] = nil
        // A body that is empty has no address.
        let body = call.body.isEmpty ? [0] : call.body
        return withCStrings([
            call.url, call.contentType, agent,
            call.authorization.map { "Authorization: \($0)" }, call.user, call.password,
            call.authorities, call.certificate, call.key, call.proxy,
        ]) { texts in
            body.withUnsafeBytes { bytes in
                guard let url = texts[0], let type = texts[1], let agent = texts[2],
                    let base = bytes.baseAddress
                else { return EINVAL }
                var request = rw_http_request(
                    url: url, content_type: type, body: base, body_bytes: call.body.count,
                    authorization: texts[3], user: texts[4], password: texts[5],
                    authorities: texts[6], certificate: texts[7], key: texts[8],
                    proxy: texts[9], user_agent: agent,
                    connect_ms: call.connectMilliseconds, whole_ms: call.wholeMilliseconds)
                return -begin(&request)
            }
        }
    }

    func takeResult(_ slot: Int) -> HTTPResult? {
        defer { results[slot] = nil }
        return results[slot]
    }

    func abandon(_ slot: Int) { rw_http_abandon(http, UInt32(slot)) }

    func send(_ slot: Int, _ bytes: ArraySlice<UInt8>) -> Int {
        bytes.withUnsafeBytes { bytes in
            bytes.baseAddress.map { rw_http_send(http, UInt32(slot), $0, bytes.count) } ?? 0
        }
    }

    func isClosed(_ slot: Int) -> Bool { rw_http_is_closed(http, UInt32(slot)) != 0 }
    func unacknowledged(_ slot: Int) -> Int { rw_http_unacknowledged(http, UInt32(slot)) }
    func socket(_ slot: Int) -> Int32 { rw_http_socket(http, UInt32(slot)) }

    func wait(_ extra: inout [pollfd], milliseconds: Int) {
        let count = UInt32(extra.count)
        let status = extra.withUnsafeMutableBufferPointer {
            rw_http_wait(http, $0.baseAddress, count, Int32(clamping: milliseconds))
        }
        // Nothing that it could fail by goes away by itself: at least do not spin.
        if status != 0 { usleep(UInt32(clamping: min(milliseconds, 250) * 1000)) }
        var answer = rw_http_answer()
        while rw_http_next(http, &answer) == 1 {
            results[Int(answer.slot)] = Self.result(of: &answer)
        }
    }

    private static func result(of answer: inout rw_http_answer) -> HTTPResult {
        let cause: FailureCause
        switch answer.end {
        case RW_HTTP_ANSWERED:
            let body = withUnsafeBytes(of: answer.body) { [UInt8]($0.prefix(answer.body_bytes)) }
            return .answered(
                status: answer.status, retryAfterSeconds: Int(clamping: answer.retry_after_s),
                body: body)
        case RW_HTTP_NO_NAME: cause = .noName
        case RW_HTTP_NO_CONNECTION: cause = .noConnection
        case RW_HTTP_UNTRUSTED: cause = .untrusted
        case RW_HTTP_TIMEOUT: cause = .timeout
        case RW_HTTP_CLOSED: cause = .closed
        case RW_HTTP_NO_HTTP: cause = .noHTTP
        default: cause = .local
        }
        let error = withUnsafeBytes(of: answer.error) { bytes in
            String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
        return .failed(cause, error)
    }
}

/// Calls `body` with C strings that live as long as it runs.
private func withCStrings<Result>(
    _ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> Result
) -> Result {
    let copies = texts.map { $0.flatMap { strdup($0) } }
    defer { copies.forEach { free($0) } }
    return body(copies.map { $0.map { UnsafePointer($0) } })
}
