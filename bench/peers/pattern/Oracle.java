// SPDX-License-Identifier: Apache-2.0
// What aws event-ruler says of one pattern and one event, each on a line of standard input separated
// by a tab; answers match, no, refused (the pattern) or bad (the event), a line each. A machine of its
// own for every pattern: its rules disturb each other.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import software.amazon.event.ruler.Machine;

public class Oracle {
    static String answer(String pattern, String event) {
        Machine machine = new Machine();
        try {
            machine.addRule("r", pattern);
        } catch (Exception | StackOverflowError e) {
            return "refused";
        }
        try {
            return machine.rulesForJSONEvent(event).isEmpty() ? "no" : "match";
        } catch (Exception e) {
            return "bad";
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split("\t", 2);
            out.println(answer(parts[0], parts[1]));
        }
        out.flush();
    }
}
