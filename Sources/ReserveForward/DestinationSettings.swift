// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReserveConfig
import ReserveModel

/// One place to which alerts go, as the user describes it: a `[Destination NAME]` section.
struct DestinationSettings: Equatable, Sendable {
    enum Kind: String, CaseIterable, Sendable {
        case alertmanager
        case webhook
        case command
        case syslog
        case journal
        case otlp
    }

    let name: String
    var kind: Kind?
    /// Of an Alertmanager: each member of its cluster.
    var urls: [String] = []
    var target = HTTPTarget()
    var labels: [(name: String, value: String)] = []
    var standing = StandingPlan()
    /// Of an incident, from which level on.
    var leastLevel = Alert.Level.warning
    var command: [String] = []
    var address = SyslogAddress.usual
    var facility = 3
    var socket = "/run/systemd/journal/socket"
    /// All of it as it was set: what it is handed on by, and compared.
    private(set) var settings: [(key: String, value: String)] = []

    init(name: String) { self.name = name }

    static func == (one: DestinationSettings, other: DestinationSettings) -> Bool {
        one.name == other.name && one.settings.elementsEqual(other.settings) { $0 == $1 }
    }

    private static let http: Set<Kind> = [.alertmanager, .webhook, .otlp]
    private static let tls: Set<Kind> = http.union([.syslog])

    /// What may be set: how often, and for which kinds.
    static let keys: [(name: String, isList: Bool, kinds: Set<Kind>, says: String)] = [
        ("Type", false, Set(Kind.allCases), Kind.allCases.map(\.rawValue).joined(separator: ", ")),
        ("URL", true, http, "http:// or https://; of a cluster of Alertmanagers each member"),
        ("URLFile", false, http, "a file with it, or the name of a credential"),
        ("TokenFile", false, http, "a file with a bearer token, or the name of a credential"),
        ("User", false, http, "a name, for PasswordFile="),
        ("PasswordFile", false, http, "a file, or the name of a credential"),
        ("CAFile", false, tls, "an absolute path: authorities in PEM, and no others"),
        ("CertificateFile", false, tls, "an absolute path: our own certificate in PEM"),
        ("KeyFile", false, tls, "an absolute path: its key in PEM"),
        ("Proxy", false, http, "http://HOST:PORT"),
        ("Timeout", false, tls.union([.command]), "a time from 100ms to 10min; 15s"),
        ("Label", true, Set(Kind.allCases), "NAME=VALUE, added to every alert"),
        ("Resend", false, [.alertmanager], "a time from 100ms to 1h; 1min"),
        ("Expire", false, [.alertmanager], "a time from 1s to 1w; 1h"),
        ("HoldResolved", false, [.alertmanager], "a time up to 1h; 1min"),
        (
            "Level", false, Set(Kind.allCases).subtracting([.alertmanager]),
            "warning or critical: incidents that got so bad"
        ),
        ("Command", false, [.command], "an absolute path and words; no shell"),
        (
            "Address", false, [.syslog],
            "unix:PATH, udp:ADDRESS:PORT, tcp:HOST:PORT or tls:HOST:PORT; unix:/dev/log"
        ),
        ("Facility", false, [.syslog], "user, daemon, syslog, local0 to local7; daemon"),
        ("Socket", false, [.journal], "an absolute path; /run/systemd/journal/socket"),
    ]

    /// The name is a label's value, and part of a file's name.
    static func nameProblem(_ name: String) -> String? {
        let isPlain = name.utf8.allSatisfy {
            $0 >= 0x61 && $0 <= 0x7a || $0 >= 0x41 && $0 <= 0x5a || $0 >= 0x30 && $0 <= 0x39
                || $0 == 0x2d || $0 == 0x5f
        }
        return isPlain && !name.isEmpty && name.utf8.count <= 32
            ? nil : "a name is 1 to 32 letters, digits, - or _"
    }

    /// Takes one setting in.
    ///
    /// - Returns: why it is not taken, or nil.
    mutating func set(_ key: String, _ value: String) -> String? {
        if let reason = take(key, value) { return reason }
        settings.append((key, value))
        return nil
    }

    private mutating func take(_ key: String, _ value: String) -> String? {
        switch key {
        case "Type":
            guard let kind = Kind(rawValue: value) else {
                return "\"\(value)\" is none of "
                    + Kind.allCases.map(\.rawValue).joined(separator: ", ")
            }
            self.kind = kind
        case "URL":
            if let reason = HTTPAddress.problem(value) { return reason }
            urls.append(value)
        case "URLFile": target.urlFile = Secret(name: value)
        case "TokenFile": target.tokenFile = Secret(name: value)
        case "User": target.user = value
        case "PasswordFile": target.passwordFile = Secret(name: value)
        case "CAFile": return path(value) { target.authorities = $0 }
        case "CertificateFile": return path(value) { target.certificate = $0 }
        case "KeyFile": return path(value) { target.key = $0 }
        case "Proxy":
            if let reason = HTTPAddress.problem(value) { return reason }
            target.proxy = value
        case "Timeout":
            return milliseconds(value, 100...600_000) {
                target.wholeMilliseconds = $0
                target.connectMilliseconds = min(target.connectMilliseconds, $0)
            }
        case "Label": return addLabel(value)
        case "Level":
            guard value == "warning" || value == "critical" else {
                return "it is neither warning nor critical"
            }
            leastLevel = value == "critical" ? .critical : .warning
        case "Command": return takeCommand(value)
        case "Address":
            guard let address = SyslogAddress(value) else {
                return "it is no unix:PATH, udp:ADDRESS:PORT (in numbers), tcp:HOST:PORT or "
                    + "tls:HOST:PORT"
            }
            self.address = address
        case "Facility":
            guard let found = SyslogFormat.facilities.first(where: { $0.name == value }) else {
                let names = SyslogFormat.facilities.map(\.name).joined(separator: ", ")
                return "it is none of \(names)"
            }
            facility = found.number
        case "Socket":
            guard value.utf8.count < 108 else { return "it is too long for a socket's path" }
            return path(value) { socket = $0 }
        case "Resend":
            return milliseconds(value, 100...3_600_000) {
                standing.resendNanoseconds = Int64($0) * 1_000_000
            }
        case "Expire":
            return milliseconds(value, 1000...604_800_000) {
                standing.expireNanoseconds = Int64($0) * 1_000_000
            }
        case "HoldResolved":
            return milliseconds(value, 0...3_600_000) {
                standing.holdNanoseconds = Int64($0) * 1_000_000
            }
        default: return "there is no such setting"
        }
        return nil
    }

    private func path(_ value: String, _ set: (String) -> Void) -> String? {
        guard value.hasPrefix("/") else { return "\(value) is no absolute path" }
        set(value)
        return nil
    }

    private func milliseconds(
        _ value: String, _ range: ClosedRange<Int>, _ set: (Int) -> Void
    ) -> String? {
        let bounds = [range.lowerBound, range.upperBound].map {
            ConfigQuantity.time(UInt64($0) * 1_000_000)
        }
        guard let time = ConfigQuantity.nanoseconds(value),
            let milliseconds = Int(exactly: time / 1_000_000), range.contains(milliseconds)
        else { return "it is no time from \(bounds[0]) to \(bounds[1]), such as 5s or 1min 30s" }
        set(milliseconds)
        return nil
    }

    /// Words between blanks; "..." keeps blanks together.
    private mutating func takeCommand(_ value: String) -> String? {
        let words: [String]
        do throws(ConfigRefusal) { words = try configWords(value) } catch { return error.reason }
        guard let program = words.first, program.hasPrefix("/") else {
            return "it does not begin with the absolute path of a program"
        }
        command = words
        return nil
    }

    private mutating func addLabel(_ value: String) -> String? {
        guard let equals = value.firstIndex(of: "=") else { return "it is no name=value" }
        let name = String(value[..<equals])
        let first = name.utf8.first ?? 0x30
        let isName =
            !name.hasPrefix("__") && !(first >= 0x30 && first <= 0x39)
            && name.utf8.allSatisfy {
                $0 >= 0x61 && $0 <= 0x7a || $0 >= 0x41 && $0 <= 0x5a || $0 >= 0x30 && $0 <= 0x39
                    || $0 == 0x5f
            }
        guard isName else { return "\"\(name)\" is no name of a label" }
        guard !["alertname", "host", "track", "severity"].contains(name),
            !labels.contains(where: { $0.name == name })
        else { return "the label \(name) is there already" }
        labels.append((name, String(value[value.index(after: equals)...])))
        return nil
    }

    // MARK: as a whole

    /// What does not fit together; nil: all does.
    var problem: String? {
        guard let kind else { return "Type= is missing" }
        for key in settings.map(\.key) {
            if let known = Self.keys.first(where: { $0.name == key }), !known.kinds.contains(kind) {
                return "\(key)= means nothing to a \(kind.rawValue)"
            }
        }
        if Self.http.contains(kind), urls.isEmpty == (target.urlFile == nil) {
            return "it needs URL=, or URLFile=, and not both"
        }
        if kind != .alertmanager, urls.count > 1 {
            return "it has more than one URL=; make a section for each"
        }
        if kind == .command, command.isEmpty { return "it needs Command=" }
        if target.user != nil, target.passwordFile == nil { return "User= needs PasswordFile=" }
        if target.passwordFile != nil, target.user == nil { return "PasswordFile= needs User=" }
        if target.tokenFile != nil, target.user != nil {
            return "TokenFile= and User= are two ways of the same: choose one"
        }
        if (target.certificate == nil) != (target.key == nil) {
            return "CertificateFile= and KeyFile= go together"
        }
        if target.hasSecret, let open = urls.first(where: { !HTTPAddress.keepsSecrets($0) }) {
            return "a secret is sent over https:// only, or to this host; "
                + "\(HTTPAddress.endpoint(open)) is neither"
        }
        if standing.expireNanoseconds < 2 * standing.resendNanoseconds {
            return "Expire= is less than twice Resend=: what stands would end in between"
        }
        return nil
    }

    /// Files that are named are there.
    func checkFiles() throws(ForwardError) {
        for secret in [target.urlFile, target.tokenFile, target.passwordFile].compactMap({ $0 }) {
            do throws(Secret.Problem) {
                _ = try secret.read()
            } catch {
                throw .input(
                    path: secret.name, reason: "\(error.sentence) (destination \(name))")
            }
        }
        for file in [target.authorities, target.certificate, target.key].compactMap({ $0 })
        where access(file, R_OK) != 0 {
            throw .input(path: file, reason: "\(words(errno)) (destination \(name))")
        }
        if let program = command.first, access(program, X_OK) != 0 {
            throw .input(path: program, reason: "\(words(errno)) (destination \(name))")
        }
    }
}
