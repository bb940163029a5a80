// mesos-framework 0.5.3 (npm): three commands run to their end, then the framework tears itself down.
// usage: mesos_framework.js MASTER(host:port) [SECONDS=60]
"use strict";

const { Scheduler, Mesos } = require("mesos-framework");
const mesos = Mesos.getMesos();
const [host, port] = process.argv[2].split(":");
const finished = new Set();
const wanted = 3;

const scheduler = new Scheduler({
    masterUrl: host,
    port: port,
    frameworkName: "mesos-framework-acceptance",
    frameworkFailoverTimeout: 60,
    logging: { path: process.cwd(), fileName: "mesos-framework.log", level: "warn" },
    restartStates: ["TASK_LOST"],
    tasks: {
        ends: {
            priority: 1,
            instances: wanted,
            commandInfo: new mesos.CommandInfo(null, null, true, "test -n \"$MESOS_TASK_ID\" && echo done", null, null),
            resources: { cpus: 0.1, mem: 32, ports: 1, disk: 0 },
        },
    },
});

function end(code, why) {
    console.log(why, [...finished]);
    process.exit(code);
}

scheduler.on("ready", () => scheduler.subscribe());
scheduler.on("error", (error) => end(1, error.message || error));
scheduler.on("update", (update) => {
    const { task_id: task, state, message } = update.status;
    console.log("update", task.value, state, message);
    if (["TASK_FAILED", "TASK_ERROR", "TASK_LOST", "TASK_KILLED", "TASK_DROPPED"].includes(state)) {
        end(1, "a task failed");
    }
    if (state === "TASK_FINISHED") {
        finished.add(task.value);
    }
    if (finished.size === wanted) {
        scheduler.removeAllListeners("error");
        scheduler.on("error", () => {});
        scheduler.on("sent_teardown", () => end(0, "all have finished"));
        setTimeout(() => scheduler.teardown(), 500);
    }
});
setTimeout(() => end(1, "nothing more comes"), 1000 * (process.argv[3] || 60));
