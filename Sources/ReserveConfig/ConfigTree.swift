// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A file of the configuration that was found.
public struct ConfigFileState: Sendable, Equatable {
    public enum State: Sendable, Equatable {
        case read
        /// A link to /dev/null: it, and what has its name further down, counts for nothing.
        case masked
        /// One with its name in a higher directory counts instead.
        case hidden(by: String)
        /// It was found, and could not be read; a problem says why.
        case unreadable
    }

    public var path: String
    public var state: State
}

/// Where the configuration lies: one main file, and drop-ins beside it.
///
/// As with systemd: of main files, and of drop-ins of one name, the one in the highest directory
/// counts. Drop-ins are read after the main file, wherever each lies, sorted by name.
public struct ConfigTree: Sendable {
    /// The highest first.
    public let directories: [String]
    /// Of the main file; drop-ins lie in NAME.d and end in .conf.
    public let name: String
    /// That a main file is missing is an error.
    public let isRequired: Bool

    /// More drop-ins than anybody has.
    static let mostDropIns = 128

    /// Where packages and people put it.
    public static let usual = ConfigTree(
        directories: [
            "/etc/reservewatch", "/run/reservewatch", "/usr/local/lib/reservewatch",
            "/usr/lib/reservewatch",
        ], name: "reservewatch.conf")

    public init(directories: [String], name: String, isRequired: Bool = false) {
        self.directories = directories
        self.name = name
        self.isRequired = isRequired
    }

    /// One main file that was named, with PATH.d/*.conf beside it.
    public init(file path: String) {
        let slash = path.lastIndex(of: "/")
        var directory = slash.map { String(path[..<$0]) } ?? "."
        if directory.isEmpty { directory = "/" }
        self.init(
            directories: [directory],
            name: slash.map { String(path[path.index(after: $0)...]) } ?? path, isRequired: true)
    }

    /// Finds and reads all of it.
    ///
    /// - Parameter over: what was said elsewhere, and outranks the files.
    public func read(_ schema: ConfigSchema, over: [ConfigText] = []) -> Configuration {
        var reader = ConfigReader()
        if !reader.readFirst(directories.map { join($0, name) }), isRequired,
            reader.problems.isEmpty
        {
            reader.problem(join(directories.first ?? "", name), ENOENT)
        }
        let found = directories.flatMap { reader.list(join($0, "\(name).d")) }
        let names = Set(found.map(\.name)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        if names.count > Self.mostDropIns {
            reader.problems.append(
                ConfigProblem(
                    at: ConfigPlace(file: join(directories.first ?? "", "\(name).d"), line: 0),
                    "there are \(names.count) drop-ins; \(Self.mostDropIns) is the most"))
        }
        for name in names.prefix(Self.mostDropIns) {
            _ = reader.readFirst(found.filter { $0.name == name }.map(\.path))
        }
        return Configuration(
            reader.texts + over, schema: schema, problems: reader.problems, files: reader.files)
    }

    /// Reads these files, each over those before it, and no other.
    public static func read(files: [String], _ schema: ConfigSchema) -> Configuration {
        var reader = ConfigReader()
        for path in files where !reader.readFirst([path]) && !reader.hasTold(path) {
            reader.problem(path, ENOENT)
        }
        return Configuration(
            reader.texts, schema: schema, problems: reader.problems, files: reader.files)
    }
}

private func join(_ directory: String, _ name: String) -> String {
    directory == "." ? name : directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
}

/// Reads files, and keeps what became of each.
private struct ConfigReader {
    var texts: [ConfigText] = []
    var problems: [ConfigProblem] = []
    var files: [ConfigFileState] = []

    mutating func problem(_ path: String, _ error: Int32) {
        let words = String(cString: strerror(error))
        problems.append(
            ConfigProblem(
                at: ConfigPlace(file: path, line: 0), "it cannot be read: \(words)"))
    }

    func hasTold(_ path: String) -> Bool { problems.contains { $0.place.file == path } }

    /// Reads the first of these that is there; the others are hidden by it.
    ///
    /// - Returns: whether one was there.
    mutating func readFirst(_ paths: [String]) -> Bool {
        var first: String?
        for path in paths {
            if let first {
                var status = stat()
                if stat(path, &status) == 0 {
                    files.append(ConfigFileState(path: path, state: .hidden(by: first)))
                }
            } else if let state = read(path) {
                files.append(ConfigFileState(path: path, state: state))
                first = path
            }
        }
        return first != nil
    }

    /// - Returns: nil where there is no such file.
    private mutating func read(_ path: String) -> ConfigFileState.State? {
        // A FIFO would wait for its writer, a terminal become ours.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            let error = errno
            if error == ENOENT || error == ENOTDIR {
                var link = stat()
                // A name that is there and leads nowhere was meant to be read.
                guard lstat(path, &link) == 0 else { return nil }
            }
            problem(path, error)
            return .unreadable
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            problem(path, errno)
            return .unreadable
        }
        if status.st_mode & S_IFMT == S_IFCHR, isNull(status) { return .masked }
        if let reason = refusal(status) {
            problems.append(ConfigProblem(at: ConfigPlace(file: path, line: 0), reason))
            return .unreadable
        }
        guard let bytes = readAll(descriptor) else {
            problem(path, errno)
            return .unreadable
        }
        texts.append(ConfigText(bytes, file: path))
        return .read
    }

    private func isNull(_ status: stat) -> Bool {
        var null = stat()
        return stat("/dev/null", &null) == 0 && null.st_rdev == status.st_rdev
    }

    /// Whoever writes the configuration decides what root does: it must be root's, or ours.
    private func refusal(_ status: stat) -> String? {
        if status.st_mode & S_IFMT != S_IFREG { return "it is no file" }
        if status.st_uid != 0, status.st_uid != geteuid() {
            return "it belongs to user \(status.st_uid), who could have us do anything; "
                + "give it to root"
        }
        if status.st_mode & S_IWOTH != 0 {
            return "everybody may write it, and so have us do anything; chmod o-w it"
        }
        return nil
    }

    /// All of it, or what is more than a file may have.
    private func readAll(_ descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while bytes.count <= ConfigText.Limit.fileBytes {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    /// The drop-ins of one directory.
    mutating func list(_ directory: String) -> [(name: String, path: String)] {
        guard let stream = opendir(directory) else {
            if errno != ENOENT, errno != ENOTDIR { problem(directory, errno) }
            return []
        }
        defer { closedir(stream) }
        var names: [(name: String, path: String)] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".conf"), !name.hasPrefix(".") {
                names.append((name, join(directory, name)))
            }
        }
        return names
    }
}
