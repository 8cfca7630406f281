// SPDX-License-Identifier: Apache-2.0
// aws event-ruler on the rows that bench_pattern exported: Ruler DIR. One JSON line a row, as
// bench_pattern --json prints them. Warms up for at least three passes and two seconds, then takes the
// median of passes for two seconds more; rows whose rules take longer than a minute are given up.

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import software.amazon.event.ruler.Machine;

public class Ruler {
    static final long SECOND = 1_000_000_000L;

    /** Of this thread, as the other side is measured; its garbage collector's comes for free. */
    static long processorTime() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    static long pass(Machine machine, List<String> events) throws Exception {
        long matches = 0;
        for (String event : events) {
            matches += machine.rulesForJSONEvent(event).size();
        }
        return matches;
    }

    static Machine build(List<String> rules) throws Exception {
        Machine machine = new Machine();
        long start = System.nanoTime();
        for (int i = 0; i < rules.size(); i++) {
            machine.addRule("r" + i, rules.get(i));
            if (System.nanoTime() - start > 60 * SECOND) {
                return null;
            }
        }
        return machine;
    }

    static void row(String name, List<String> rules, List<String> events) throws Exception {
        long start = processorTime();
        Machine machine = build(rules);
        double compile = (processorTime() - start) / 1e9;
        if (machine == null) {
            System.out.printf("{\"engine\":\"event-ruler\",\"row\":\"%s\",\"given_up\":true}%n", name);
            return;
        }
        long matches = 0;
        start = System.nanoTime();
        for (int i = 0; i < 3 || System.nanoTime() - start < 2 * SECOND; i++) {
            matches = pass(machine, events);
            if (System.nanoTime() - start > 20 * SECOND) {
                break;
            }
        }
        List<Long> passes = new ArrayList<>();
        start = System.nanoTime();
        while (passes.size() < 3 || System.nanoTime() - start < 2 * SECOND) {
            long before = processorTime();
            pass(machine, events);
            passes.add(processorTime() - before);
            if (System.nanoTime() - start > 20 * SECOND) {
                break;
            }
        }
        Collections.sort(passes);
        double ns = passes.get(passes.size() / 2) / (double) events.size();
        System.out.printf("{\"engine\":\"event-ruler\",\"row\":\"%s\",\"ns\":%.1f,\"events\":%d,"
            + "\"matches\":%d,\"rules\":%d,\"compile_s\":%.6f}%n",
            name, ns, events.size(), matches, rules.size(), compile);
        System.out.flush();
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        for (String line : Files.readAllLines(dir.resolve("rows.tsv"))) {
            String[] cells = line.split("\t");
            row(cells[0], Files.readAllLines(dir.resolve(cells[0].replace(' ', '-'))),
                Files.readAllLines(dir.resolve(cells[1])));
        }
    }
}
