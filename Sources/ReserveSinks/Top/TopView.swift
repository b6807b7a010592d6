// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// A screen of `top`.
public enum TopPane: Int, CaseIterable, Sendable {
    case overview
    case tasks
    case sockets
    case slab
    case nbd
    case zones
    case events
    case agent
    /// What happened to one task.
    case story

    public var word: StaticString {
        switch self {
        case .overview: return "overview"
        case .tasks: return "tasks"
        case .sockets: return "sockets"
        case .slab: return "slab"
        case .nbd: return "nbd"
        case .zones: return "zones"
        case .events: return "events"
        case .agent: return "agent"
        case .story: return "story"
        }
    }

    /// By what its list can be sorted, the first by default.
    var orders: [StaticString] {
        switch self {
        case .tasks: return ["longest", "name", "tid", "cgroup"]
        case .sockets: return ["as found", "queue", "resent", "delivered"]
        case .slab: return ["from reserve", "growth", "name"]
        case .events: return ["newest last", "newest first"]
        default: return []
        }
    }
}

/// Of the frame that was drawn last: what Enter and the arrows act on.
struct TopListed {
    var count = 0
    var visible = 0
    var tid: UInt32?
    var bootNanoseconds: UInt64?
}

/// What is looked at, and how: changed by keys only.
public struct TopView: Sendable {
    struct Place: Sendable {
        var selected = 0
        var scroll = 0
        var order = 0
        var isReversed = false
    }

    enum Prompt: Sendable {
        case filter
        case time
    }

    public internal(set) var pane = TopPane.overview
    var before = TopPane.overview
    var places = [Place](repeating: Place(), count: TopPane.allCases.count)
    var filter: [UInt8] = []
    var prompt: Prompt?
    var input: [UInt8] = []
    var isHelping = false
    var storyTID: UInt32 = 0
    /// Events that the list had when it was drawn last.
    var lastCount = 0
    /// Said in the last line until the next key.
    var message: StaticString?

    public init() {}

    var place: Place {
        get { places[pane.rawValue] }
        set { places[pane.rawValue] = newValue }
    }
}

/// What a key asks of the one who keeps the time and the terminal.
public enum TopAction: Equatable, Sendable {
    case none
    case quit
    case suspend
    case redraw
    case toggleTime
    case play
    case live
    case step(seconds: Int)
    case nextLandmark
    case previousLandmark
    case faster
    case slower
    case go(TopMoment)
    case goTo(bootNanoseconds: UInt64)
    case lookAtAway
    case putAway
}

extension TopView {
    /// Takes a key in.
    mutating func take(_ key: TopKey, _ listed: TopListed) -> TopAction {
        message = nil
        if prompt != nil { return takeInput(key) }
        if isHelping, key != .interrupt {
            isHelping = false
            return .none
        }
        switch key {
        case .character(let byte): return take(character: byte, listed)
        case .up: select(place.selected - 1, listed)
        case .down: select(place.selected + 1, listed)
        case .pageUp: select(place.selected - max(1, listed.visible - 1), listed)
        case .pageDown: select(place.selected + max(1, listed.visible - 1), listed)
        case .home: select(0, listed)
        case .end: select(listed.count - 1, listed)
        case .left: return .step(seconds: -1)
        case .right: return .step(seconds: 1)
        case .tab: turn(by: 1)
        case .backTab: turn(by: -1)
        case .enter: return enter(listed)
        case .escape: return leave()
        case .interrupt: return .quit
        case .suspend: return .suspend
        case .redraw: return .redraw
        case .backspace: return .none
        }
        return .none
    }

    private mutating func take(character byte: UInt8, _ listed: TopListed) -> TopAction {
        switch byte {
        case UInt8(ascii: "q"): return .quit
        case UInt8(ascii: "?"), UInt8(ascii: "h"): isHelping = true
        case UInt8(ascii: "1")...UInt8(ascii: "8"):
            open(TopPane(rawValue: Int(byte - UInt8(ascii: "1"))) ?? .overview)
        case UInt8(ascii: "k"): select(place.selected - 1, listed)
        case UInt8(ascii: "j"): select(place.selected + 1, listed)
        case UInt8(ascii: "s"): turnOrder()
        case UInt8(ascii: "r"): place.isReversed.toggle()
        case UInt8(ascii: "/"):
            prompt = .filter
            input = filter
        case UInt8(ascii: "t"):
            prompt = .time
            input = []
        case UInt8(ascii: " "): return .toggleTime
        case UInt8(ascii: "p"): return .play
        case UInt8(ascii: "l"): return .live
        case UInt8(ascii: "n"): return .nextLandmark
        case UInt8(ascii: "N"): return .previousLandmark
        case UInt8(ascii: "["): return .step(seconds: -10)
        case UInt8(ascii: "]"): return .step(seconds: 10)
        case UInt8(ascii: "{"): return .step(seconds: -60)
        case UInt8(ascii: "}"): return .step(seconds: 60)
        case UInt8(ascii: "+"), UInt8(ascii: "="): return .faster
        case UInt8(ascii: "-"): return .slower
        case UInt8(ascii: "b"): return .lookAtAway
        default: message = "no such key; ? lists them"
        }
        return .none
    }

    private mutating func takeInput(_ key: TopKey) -> TopAction {
        switch key {
        case .character(let byte):
            if input.count < 64 { input.append(byte) }
        case .backspace:
            if !input.isEmpty { input.removeLast() }
        case .escape, .interrupt:
            if prompt == .filter { filter = [] }
            prompt = nil
        case .enter:
            let asked = prompt
            prompt = nil
            if asked == .time {
                if let moment = TopMoment(input) { return .go(moment) }
                message = "no such time: 03:27:10, -30s, +5m, or @12s from the start"
            }
        default: break
        }
        if prompt == .filter {
            filter = input
            place.selected = 0
        }
        return .none
    }

    mutating func open(_ next: TopPane) {
        guard next != pane else { return }
        before = pane == .story ? before : pane
        pane = next
    }

    private mutating func turn(by step: Int) {
        let panes = TopPane.story.rawValue
        let from = pane == .story ? before.rawValue : pane.rawValue
        open(TopPane(rawValue: (from + step + panes) % panes) ?? .overview)
    }

    private mutating func turnOrder() {
        let orders = pane.orders.count
        guard orders > 1 else {
            message = "this screen has one order only"
            return
        }
        place.order = (place.order + 1) % orders
    }

    private mutating func select(_ index: Int, _ listed: TopListed) {
        place.selected = max(0, min(index, listed.count - 1))
    }

    private mutating func enter(_ listed: TopListed) -> TopAction {
        switch pane {
        case .overview, .tasks:
            if let tid = listed.tid {
                storyTID = tid
                open(.story)
                place = Place()
            } else {
                open(.tasks)
            }
        case .events, .story:
            if let moment = listed.bootNanoseconds { return .goTo(bootNanoseconds: moment) }
        default: break
        }
        return .none
    }

    private mutating func leave() -> TopAction {
        if !filter.isEmpty {
            filter = []
        } else if pane == .story {
            pane = before
        } else if pane != .overview {
            open(.overview)
        } else {
            return .putAway
        }
        return .none
    }

    /// Whether a row passes the filter, whatever the case of its letters.
    func passes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if filter.isEmpty { return true }
        guard bytes.count >= filter.count else { return false }
        for start in 0...(bytes.count - filter.count) {
            var same = 0
            while same < filter.count, Self.lower(bytes[start + same]) == Self.lower(filter[same]) {
                same += 1
            }
            if same == filter.count { return true }
        }
        return false
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
}
