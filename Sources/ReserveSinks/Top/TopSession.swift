// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// What `top` is at: the events, the moment in time, the view. Has no clock of its own.
public final class TopSession {
    public enum Time: Equatable, Sendable {
        /// Live, at the newest event.
        case following
        case paused
        case playing
    }

    /// The time in which this process did not run.
    struct Away {
        var from: UInt64
        var to: UInt64
        /// By a signal; else with the whole host.
        var isStopped: Bool
        /// What happened meanwhile, once that was read up.
        var meanwhile: [UInt8]?
    }

    public let player: TopPlayer
    public internal(set) var view = TopView()
    public private(set) var time: Time
    var away: Away?
    /// The host's clock, boot time; nil: not that of the events that are shown.
    public var hostClock: UInt64?
    private var speed = TopSession.realTime
    /// Where the play stands between two events.
    private var playhead: UInt64 = 0

    /// Speeds of the play in tenths.
    static let speeds: [UInt64] = [1, 2, 5, 10, 20, 50, 100, 300, 600, 3000]
    private static let realTime = 3

    public init(player: TopPlayer) {
        self.player = player
        time = player.isLive ? .following : .playing
        player.look()
        if player.isLive {
            player.advanceToEnd()
        } else {
            // So that the first frame shows a host, the hooks and the first samples.
            firstMoment()
        }
        playhead = player.now
    }

    var speedTenths: UInt64 { Self.speeds[speed] }

    private func firstMoment() {
        player.advance(to: 0)
        while player.model.picture.host == nil, !player.isAtEnd { player.advanceOne() }
        player.advance(to: player.now)
    }

    /// Opens a screen by its name; false: there is none of that name.
    public func open(pane word: String) -> Bool {
        guard let pane = TopPane.allCases.first(where: { "\($0.word)" == word }), pane != .story
        else { return false }
        view.open(pane)
        return true
    }

    /// Goes to a moment and stays there; false: the host's clock is not known.
    public func go(to moment: TopMoment) -> Bool {
        if player.model.picture.host == nil { firstMoment() }
        guard let target = moment.bootNanoseconds(now: player.now, player.model.picture) else {
            return false
        }
        seek(to: target)
        return true
    }

    public func goToEnd() {
        player.advanceToEnd()
        time = player.isLive ? .following : .paused
    }

    public func setSpeed(tenths: UInt64) {
        speed = Self.speeds.firstIndex(where: { $0 >= tenths }) ?? Self.speeds.count - 1
    }

    /// So much time went by.
    public func elapse(nanoseconds: UInt64) {
        if player.isLive { player.look() }
        switch time {
        case .paused: return
        case .following: player.advanceToEnd()
        case .playing:
            playhead &+= nanoseconds / 10 &* speedTenths
            player.advance(to: playhead)
            if player.isAtBorder {
                player.advanceOne()
                playhead = player.now
            }
            if player.isAtEnd { time = player.isLive ? .following : .paused }
        }
    }

    /// The process did not run from one boot time to another, and just came back.
    public func wasAway(from: UInt64, to: UInt64, isStopped: Bool) {
        // Thawing comes in several steps: they are one absence.
        if let known = away, from <= known.to &+ 5_000_000_000 {
            away = Away(from: known.from, to: to, isStopped: known.isStopped && isStopped)
        } else {
            away = Away(from: from, to: to, isStopped: isStopped)
        }
    }

    /// Takes a key in; what is left to do for the terminal is returned.
    public func take(_ key: TopKey, listed: borrowing TopPainter) -> TopAction {
        let action = view.take(key, listed.listed)
        switch action {
        case .none, .quit, .suspend, .redraw: return action
        case .toggleTime: toggle()
        case .play: play()
        case .live: goToEnd()
        case .step(let seconds):
            let step = UInt64(abs(seconds)) * 1_000_000_000
            let before = player.position
            seek(to: seconds < 0 ? player.now - min(step, player.now) : player.now &+ step)
            // In a gap a step on leads to what comes behind it.
            if seconds > 0, player.position == before { player.advanceOne() }
        case .nextLandmark:
            time = .paused
            if !player.advanceToLandmark() { view.message = "no later event" }
        case .previousLandmark:
            time = .paused
            if !player.goBackToLandmark() { view.message = "no earlier event" }
        case .faster:
            speed = min(speed + 1, Self.speeds.count - 1)
        case .slower:
            speed = max(speed - 1, 0)
        case .go(let moment):
            if !go(to: moment) { view.message = "the host did not tell its clock; try @12s" }
        case .goTo(let moment): seek(to: moment)
        case .lookAtAway:
            if let away {
                seek(to: away.from)
            } else {
                view.message = "top was never frozen"
            }
        case .putAway: away = nil
        }
        playhead = player.now
        return .none
    }

    private func seek(to moment: UInt64) {
        time = .paused
        player.seek(to: moment)
        playhead = player.now
    }

    private func toggle() {
        switch time {
        case .following, .playing: time = .paused
        case .paused:
            if player.isLive { goToEnd() } else { play() }
        }
    }

    private func play() {
        guard !player.isAtEnd else {
            view.message = "this is the end; [ and { go back"
            return
        }
        time = .playing
    }
}
