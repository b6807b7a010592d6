// SPDX-License-Identifier: Apache-2.0

import Foundation
import PackagePlugin

/// Compiles `bpf/reservewatch.bpf.c` with the toolchain's own clang and embeds the object.
///
/// The object is the same, byte for byte, wherever the checkout lies; every file below
/// `bpf/` and the wire headers are inputs, so that touching one rebuilds what depends on it.
@main
struct CompileBPF: BuildToolPlugin {
    func createBuildCommands(
        context: PluginContext, target: Target
    ) async throws -> [Command] {
        let root = context.package.directoryURL
        let bpf = root.appending(path: "bpf")
        let wire = root.appending(path: "Sources/CRecord/include")
        let source = bpf.appending(path: "reservewatch.bpf.c")
        let object = context.pluginWorkDirectoryURL.appending(path: "reservewatch.bpf.o")
        let blob = context.pluginWorkDirectoryURL.appending(path: "rw_bpf_object.c")
        try writeIfChanged(embedding(object), to: blob)
        return [
            .buildCommand(
                displayName: "Compiling BPF programs",
                executable: try context.tool(named: "clang").url,
                arguments: [
                    "-target", "bpf", "-mcpu=v3", "-g", "-O2", "-std=gnu17",
                    "-Wall", "-Wno-unused-function", "-Werror",
                    "-fdebug-compilation-dir=.", "-ffile-prefix-map=\(root.path)/=",
                    "-I", bpf.path, "-I", wire.path,
                    "-c", source.path, "-o", object.path,
                ],
                inputFiles: try sources(in: bpf) + sources(in: wire),
                outputFiles: [object, blob]
            )
        ]
    }

    private func sources(in directory: URL) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .filter { ["c", "h"].contains($0.pathExtension) }
            .sorted { $0.path < $1.path }
    }

    private func embedding(_ object: URL) -> String {
        """
        #pragma clang diagnostic ignored "-Wc23-extensions"
        __attribute__((aligned(16))) const unsigned char rw_bpf_object[] = {
        #embed "\(object.path)"
        };
        const unsigned long rw_bpf_object_size = sizeof(rw_bpf_object);

        """
    }

    private func writeIfChanged(_ text: String, to file: URL) throws {
        if let old = try? String(contentsOf: file, encoding: .utf8), old == text { return }
        try text.write(to: file, atomically: true, encoding: .utf8)
    }
}
