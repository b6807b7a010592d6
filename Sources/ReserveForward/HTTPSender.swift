// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveSinks

/// One request, with its secrets: it is not kept.
public struct HTTPCall {
    public var url: String
    public var contentType: String
    public var body: [UInt8]
    /// The header's value.
    public var authorization: String?
    public var user: String?
    public var password: String?
    /// Files in PEM; nil: the system's authorities, no certificate of our own.
    public var authorities: String?
    public var certificate: String?
    public var key: String?
    public var proxy: String?
    public var connectMilliseconds: Int
    public var wholeMilliseconds: Int
}

/// How a request ended.
public enum HTTPResult: Equatable {
    /// The head of an answer came, and as much of its body as is worth keeping.
    case answered(status: Int, retryAfterSeconds: Int, body: [UInt8])
    case failed(FailureCause, String)
}

/// What sends requests, many beside each other, and waits for all of them at once. Each
/// destination has a slot, with one request at a time.
public protocol HTTPSender: AnyObject {
    /// - Returns: 0 when it is on its way, else an errno.
    func start(_ slot: Int, _ call: HTTPCall) -> Int32
    /// Once for each request; nil as long as it is on its way.
    func takeResult(_ slot: Int) -> HTTPResult?
    func abandon(_ slot: Int)

    /// Begins a connection without requests, for protocols of our own: it is there when the result
    /// is an answer with status 0, until the slot is given up.
    func connect(_ slot: Int, _ call: HTTPCall) -> Int32
    /// How many bytes such a connection took; a negative errno: -EAGAIN, or it is gone.
    func send(_ slot: Int, _ bytes: ArraySlice<UInt8>) -> Int
    /// Whether the other end closed it.
    func isClosed(_ slot: Int) -> Bool
    /// Bytes that the other end's kernel does not have yet; negative: not known.
    func unacknowledged(_ slot: Int) -> Int
    /// Its descriptor, or -1.
    func socket(_ slot: Int) -> Int32

    /// Waits until a request can go on, one of `extra` is ready, or so long; sets `revents`.
    func wait(_ extra: inout [pollfd], milliseconds: Int)
}

/// Where requests go, and how.
struct HTTPTarget: Equatable, Sendable {
    var url = ""
    var contentType = "application/json"
    /// Files with secrets, read anew for each request: they may be renewed.
    var urlFile: Secret?
    var tokenFile: Secret?
    var user: String?
    var passwordFile: Secret?
    var authorities: String?
    var certificate: String?
    var key: String?
    var proxy: String?
    var connectMilliseconds = 5_000
    var wholeMilliseconds = 15_000
    /// What is added to an address that a file names.
    var path = ""

    var hasSecret: Bool { urlFile != nil || tokenFile != nil || passwordFile != nil }

    /// The request for a body, with what the files hold now.
    func call(_ body: [UInt8]) throws(Secret.Problem) -> HTTPCall {
        let secret = try urlFile?.read()
        let url = secret.map { path.isEmpty ? $0 : HTTPAddress.joined($0, path) } ?? self.url
        if let reason = HTTPAddress.problem(url) {
            throw Secret.Problem(sentence: "the address in its file is none: \(reason)")
        }
        guard !hasSecret || HTTPAddress.keepsSecrets(url) else {
            throw Secret.Problem(sentence: "a secret is sent over https:// only")
        }
        let token = try tokenFile?.read()
        return HTTPCall(
            url: url, contentType: contentType, body: body,
            authorization: token.map { "Bearer \($0)" }, user: user,
            password: try passwordFile?.read(), authorities: authorities,
            certificate: certificate, key: key, proxy: proxy,
            connectMilliseconds: connectMilliseconds, wholeMilliseconds: wholeMilliseconds)
    }
}

/// One slot of a sender.
final class HTTPTransport: Transport {
    private let sender: any HTTPSender
    private let slot: Int
    private let target: HTTPTarget
    /// Whether an answer that took it says in its body that it did not.
    private let isRejected: ([UInt8]) -> Bool

    init(
        _ sender: any HTTPSender, slot: Int, target: HTTPTarget,
        isRejected: @escaping ([UInt8]) -> Bool = { _ in false }
    ) {
        self.sender = sender
        self.slot = slot
        self.target = target
        self.isRejected = isRejected
    }

    func start(_ message: Message, now: UInt64) -> Outcome? {
        do throws(Secret.Problem) {
            let status = sender.start(slot, try target.call(message.bytes))
            return status == 0 ? nil : .failed(.local, "it cannot be sent: \(words(status))")
        } catch {
            return .failed(.local, error.sentence)
        }
    }

    func outcome(now: UInt64) -> Outcome? {
        switch sender.takeResult(slot) {
        case nil: return nil
        case .failed(let cause, let why): return .failed(cause, plainText(why))
        case .answered(let status, let retry, let body):
            let text = String(decoding: body.prefix(200), as: UTF8.self)
            if (200..<300).contains(status), isRejected(body) {
                return .refused("status \(status): \(plainText(text))")
            }
            return .ofHTTP(
                status: status,
                retryAfterNanoseconds: UInt64(clamping: min(retry, 1_000_000)) * 1_000_000_000,
                body: plainText(text))
        }
    }

    func abandon() { sender.abandon(slot) }
}
