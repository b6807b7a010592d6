// SPDX-License-Identifier: Apache-2.0

import ReserveAgent
import ReserveBox
import ReserveConfig

/// `[Metrics]`: what `reservewatch metrics` serves, and where.
enum MetricsKeys {
    static let listen = ConfigKey<ListenAddress>(
        "Listen", kind: "ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, in numbers", default: nil
    ) { (text) throws(ConfigRefusal) in
        guard let address = ListenAddress(text) else {
            throw ConfigRefusal(
                "it is no ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH; addresses are numbers")
        }
        return address
    }
    static let textfile = ConfigKey<String>.path("Textfile")
    static let interval = ConfigKey.duration(
        "Interval", in: 1_000_000_000...3_600_000_000_000, default: 15_000_000_000)

    static let section = ConfigSectionSchema(
        "Metrics", keys: [listen.description, textfile.description, interval.description])
}

/// What `metrics` does, by the configuration and by its options over it.
struct MetricsSettings {
    var listen: ListenAddress?
    var textfile: String?
    var intervalNanoseconds: UInt64 = 15_000_000_000
    var box = BoxFile.usualPath

    init(_ configuration: Configuration) {
        let metrics = configuration.section("Metrics")
        listen = metrics.value(MetricsKeys.listen)
        textfile = metrics.value(MetricsKeys.textfile)
        if let value = metrics.value(MetricsKeys.interval) { intervalNanoseconds = value }
        if let value = configuration.section("Box").value(BoxKeys.path) { box = value }
    }
}
