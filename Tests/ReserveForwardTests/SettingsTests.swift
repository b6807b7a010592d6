// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ReserveForward

@Suite struct ForwardSettingsTests {
    private func problem(_ words: String...) -> String? {
        do {
            _ = try ForwardSettings(words: words)
            return nil
        } catch {
            return error.sentence
        }
    }

    private func destination(_ settings: String...) -> String? {
        do {
            _ = try ForwardSettings(
                words: ["destination.am.Type=alertmanager"]
                    + settings.map { "destination.am.\($0)" })
            return nil
        } catch {
            return error.sentence
        }
    }

    @Test func whatIsRightIsTaken() {
        #expect(destination("URL=https://a:9093", "URL=http://[::1]:9093/x") == nil)
        #expect(destination("URL=http://a", "Label=cluster=eu=1", "Resend=30s") == nil)
        #expect(destination("URL=http://a", "Expire=10m", "HoldResolved=0", "Timeout=2.5s") == nil)
    }

    @Test func withoutADestinationItSaysHowToNameOne() {
        #expect(problem()?.contains("--alertmanager http://127.0.0.1:9093") == true)
    }

    @Test(arguments: [
        "URL=ftp://a", "URL=a:9093", "URL=http://", "URL=http://:9093", "URL=http://a b",
        "URL=http://a/#x", "URL=http://u:p@a/", "URL=http://a/\u{e4}",
    ])
    func whatIsNoAddressIsRefused(setting: String) {
        #expect(destination(setting) != nil)
    }

    @Test func aPasswordInAnAddressIsNotRepeated() {
        let said = destination("URL=https://user:secret@host/")
        #expect(said?.contains("PasswordFile=") == true)
        #expect(said?.contains("secret") == false)
    }

    @Test(arguments: [
        "Label=host=x", "Label=severity=x", "Label=1a=x", "Label=a-b=x", "Label=__a=x", "Label=a",
        "Resend=0", "Resend=-1", "Resend=x", "Resend=1e9", "CAFile=relative", "Nonsense=1",
        "Type=pigeon", "User=a", "PasswordFile=/x", "CertificateFile=/x", "Expire=61s",
    ])
    func whatDoesNotFitIsRefused(setting: String) {
        #expect(destination("URL=http://127.0.0.1", setting) != nil)
    }

    @Test func aSecretNeedsTLSOrThisHost() throws {
        let scratch = try Scratch()
        let file = scratch.path + "/token"
        try Data("abc\n".utf8).write(to: URL(fileURLWithPath: file))
        let token = "TokenFile=\(file)"
        #expect(destination("URL=http://am.example:9093", token)?.contains("https://") == true)
        #expect(destination("URL=http://127.0.0.1.example:9093", token) != nil)
        for url in [
            "https://am.example", "http://127.0.0.1:9093", "http://localhost", "http://[::1]:1",
        ] {
            #expect(destination("URL=\(url)", token) == nil, "\(url)")
        }
    }

    @Test func aSecretThatCannotBeReadIsNamedAndNeverShown() throws {
        let scratch = try Scratch()
        #expect(
            destination("URL=https://a", "TokenFile=/nowhere/t")?.contains("/nowhere/t") == true)
        #expect(destination("URL=https://a", "TokenFile=name")?.contains("LoadCredential") == true)
        let file = scratch.path + "/token"
        for bad in ["", "\n", "two\nlines", "bell\u{7}", String(repeating: "x", count: 17000)] {
            try Data(bad.utf8).write(to: URL(fileURLWithPath: file))
            let said = destination("URL=https://a", "TokenFile=\(file)")
            #expect(said != nil)
            #expect(bad.count < 4 || said?.contains(bad.prefix(8)) == false)
        }
    }

    @Test(arguments: ["", "a b", "a/b", "..", "a.b", "ä", String(repeating: "a", count: 33)])
    func aNameIsPlain(name: String) {
        #expect(DestinationSettings.nameProblem(name) != nil)
    }

    @Test func addressesAreJoinedOnce() {
        let path = "/api/v2/alerts"
        #expect(HTTPAddress.joined("http://a", path) == "http://a/api/v2/alerts")
        #expect(HTTPAddress.joined("http://a//", path) == "http://a/api/v2/alerts")
        #expect(HTTPAddress.joined("http://a/x/api/v2/alerts", path) == "http://a/x/api/v2/alerts")
        #expect(HTTPAddress.endpoint("https://a:9/token?x=y") == "a:9")
    }
}
