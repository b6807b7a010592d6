// SPDX-License-Identifier: Apache-2.0

/// The times that an administrator set, and what came of reading them.
public struct SettingsState: Sendable, Equatable {
    public enum Outcome: Sendable, Equatable {
        /// The agent began with them.
        case started
        /// They were read anew, and hold from here on.
        case taken
        /// What was read anew has errors: what held before still does.
        case refused
        /// Nobody has read them so far: what held before still does.
        case unanswered
        case unknown(UInt32)

        public init(rawValue: UInt32) {
            switch rawValue {
            case 1: self = .started
            case 2: self = .taken
            case 3: self = .refused
            case 4: self = .unanswered
            default: self = .unknown(rawValue)
            }
        }
    }

    public var outcome = Outcome.started
    /// How often the agent was asked to read them anew since it began.
    public var asked: UInt32 = 0
    /// Of the configuration that was refused.
    public var errors: UInt32 = 0
    /// Settings that are otherwise in the configuration, and wait for a restart.
    public var waiting: UInt32 = 0
    /// What holds.
    public var policy = Policy()

    public init() {}
}

extension Model {
    /// The times hold for every reader as they do for the watch, so that all judge alike; only
    /// the time between summaries is each one's own.
    mutating func take(_ settings: SettingsState, at now: UInt64, _ notices: inout NoticeQueue) {
        var next = settings.policy
        next.summaryInterval = policy.summaryInterval
        let isNew = next != policy
        policy = next
        // What is usual at the start is not worth a line.
        guard settings.outcome != .started || isNew else { return }
        let isWell = settings.outcome == .started || settings.outcome == .taken
        notices.append(
            Notice(
                bootNanoseconds: now, severity: isWell ? .notice : .warning,
                body: .settings(settings)))
    }

    /// For whoever makes the lines of an agent's own stream.
    public mutating func setSummaryInterval(nanoseconds: UInt64) {
        policy.summaryInterval = nanoseconds
    }
}
