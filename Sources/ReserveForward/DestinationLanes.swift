// SPDX-License-Identifier: Apache-2.0

import ReserveSinks

extension DestinationSettings {
    /// How many ways there are: a cluster's members have one each.
    var laneCount: Int { max(urls.count, 1) }

    /// The file of one of its places.
    func file(_ number: Int) -> String { laneCount == 1 ? name : "\(name).\(number + 1)" }

    var secrets: [Secret] {
        [target.urlFile, target.tokenFile, target.passwordFile].compactMap { $0 }
    }

    /// Where one of its ways leads, as far as that may be shown: never an address's path.
    func endpoint(_ number: Int) -> String {
        switch kind {
        case nil: return ""
        case .alertmanager, .webhook, .otlp:
            // One in a file is shown as it was at the start.
            let url = urls.isEmpty ? (try? target.urlFile?.read()) ?? "" : urls[number]
            return HTTPAddress.endpoint(url)
        case .command: return command.first ?? ""
        case .syslog: return address.text
        case .journal: return socket
        }
    }

    private var apiPath: String {
        switch kind {
        case .alertmanager: return "/api/v2/alerts"
        case .otlp: return "/v1/logs"
        default: return ""
        }
    }

    private func target(_ number: Int) -> HTTPTarget {
        var target = target
        target.path = apiPath
        if !urls.isEmpty {
            target.url = apiPath.isEmpty ? urls[number] : HTTPAddress.joined(urls[number], apiPath)
        }
        return target
    }

    /// Alertmanager is told again and again what stands; the others get each alert once.
    var plan: Plan { kind == .alertmanager ? .standing(standing) : .events(from: leastLevel) }

    func body(version: String) -> MessageBody {
        let labels = labels.map { ($0.name, $0.value) }
        switch kind {
        case .alertmanager, nil:
            return .alertmanager(
                AlertmanagerBody(labels: labels, expireNanoseconds: standing.expireNanoseconds))
        case .webhook: return .webhook(labels: labels)
        case .command: return .command(labels: labels)
        case .syslog:
            var isStream = false
            if case .stream = address { isStream = true }
            return .syslog(
                SyslogFormat(facility: facility, labels: labels, isCounted: isStream))
        case .journal: return .journal(labels: labels)
        case .otlp: return .otlp(OTLPFormat(version: version, labels: labels))
        }
    }

    func transport(_ number: Int, _ sender: any HTTPSender, slot: Int) -> any Transport {
        switch kind {
        case .alertmanager, .webhook, nil:
            return HTTPTransport(sender, slot: slot, target: target(number))
        case .otlp:
            return HTTPTransport(
                sender, slot: slot, target: target(number), isRejected: OTLPFormat.isRejected)
        case .command:
            return CommandTransport(command, timeoutMilliseconds: target.wholeMilliseconds)
        case .journal: return DatagramTransport(.unix(socket))
        case .syslog:
            switch address {
            case .datagram(let address): return DatagramTransport(address)
            case .stream(let place, let isTLS):
                var target = target
                target.url = "\(isTLS ? "https" : "http")://\(place)"
                return StreamTransport(sender, slot: slot, target: target)
            }
        }
    }

    func lane(
        _ number: Int, place: Place, placePath: String, sender: any HTTPSender, slot: Int,
        _ settings: ForwardSettings
    ) -> Lane {
        Lane(
            name: name, endpoint: endpoint(number), place: place, placePath: placePath, plan: plan,
            body: body(version: settings.version),
            transport: transport(number, sender, slot: slot), backoff: settings.backoff)
    }
}
