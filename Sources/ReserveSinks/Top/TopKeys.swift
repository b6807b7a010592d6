// SPDX-License-Identifier: Apache-2.0

/// A key, as far as `top` tells keys apart.
public enum TopKey: Equatable, Sendable {
    /// A printable ASCII character.
    case character(UInt8)
    case up
    case down
    case left
    case right
    case pageUp
    case pageDown
    case home
    case end
    case enter
    case escape
    case tab
    case backTab
    case backspace
    /// Ctrl-C.
    case interrupt
    /// Ctrl-Z.
    case suspend
    /// Ctrl-L.
    case redraw
}

/// Bytes of a terminal into keys; a sequence may come in several reads.
public struct TopKeyDecoder: Sendable {
    private enum State: Sendable {
        case ground
        case escape
        /// Inside "ESC [" or "ESC O", with the number so far.
        case sequence(Int)
        /// Bytes of a character that is not ASCII still to come.
        case passing(Int)
    }

    private var state = State.ground

    public init() {}

    /// Whether an escape waits for what may follow it; it is the key when nothing does.
    public var isPending: Bool {
        if case .escape = state { return true }
        return false
    }

    /// Nothing followed the escape.
    public mutating func timeout() -> TopKey? {
        guard isPending else { return nil }
        state = .ground
        return .escape
    }

    public mutating func take(_ byte: UInt8) -> TopKey? {
        switch state {
        case .passing(let left):
            state = left > 1 ? .passing(left - 1) : .ground
            return nil
        case .escape:
            if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "O") {
                state = .sequence(0)
                return nil
            }
            state = .ground
            return byte == 0x1b ? .escape : take(byte)
        case .sequence(let number): return take(byte, number)
        case .ground: return ground(byte)
        }
    }

    private mutating func ground(_ byte: UInt8) -> TopKey? {
        switch byte {
        case 0x1b:
            state = .escape
            return nil
        case 0x0d, 0x0a: return .enter
        case 0x09: return .tab
        case 0x7f, 0x08: return .backspace
        case 0x03: return .interrupt
        case 0x1a: return .suspend
        case 0x0c: return .redraw
        case 0x20...0x7e: return .character(byte)
        case 0xc2...0xf4:
            state = .passing(byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1)
            return nil
        default: return nil
        }
    }

    private mutating func take(_ byte: UInt8, _ number: Int) -> TopKey? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            state = .sequence(min(number * 10 + Int(byte - UInt8(ascii: "0")), 999))
            return nil
        case UInt8(ascii: ";"):
            // What follows is a modifier: the number before it names the key.
            state = .sequence(number == 0 ? 1 : number)
            return nil
        case 0x40...0x7e:
            state = .ground
            return named(byte, number)
        case 0x1b:
            state = .escape
            return nil
        default:
            return nil
        }
    }

    private func named(_ byte: UInt8, _ number: Int) -> TopKey? {
        switch byte {
        case UInt8(ascii: "A"): return .up
        case UInt8(ascii: "B"): return .down
        case UInt8(ascii: "C"): return .right
        case UInt8(ascii: "D"): return .left
        case UInt8(ascii: "H"): return .home
        case UInt8(ascii: "F"): return .end
        case UInt8(ascii: "Z"): return .backTab
        case UInt8(ascii: "M"): return .enter
        case UInt8(ascii: "~"):
            switch number {
            case 1, 7: return .home
            case 4, 8: return .end
            case 5: return .pageUp
            case 6: return .pageDown
            default: return nil
            }
        default: return nil
        }
    }
}
