"""pymesos: a task that sleeps is asked about, explicitly and implicitly, and killed.
usage: pymesos_kill.py MASTER(host:port) [TIMEOUT=60]"""
import getpass, sys, threading
from pymesos import MesosSchedulerDriver, Scheduler

master, limit = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60
over, seen, bad = threading.Event(), [], []
TASK, NOBODY = dict(value='sleeper'), dict(value='nobody')


def amount(name, value):
    return dict(name=name, type='SCALAR', scalar=dict(value=value))


class Kills(Scheduler):
    launched = False

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.launched:
                driver.declineOffer(offer['id'])
                continue
            self.launched = True
            driver.launchTasks(offer['id'], [dict(
                task_id=TASK, agent_id=offer['agent_id'], name='sleeper', command=dict(value='sleep 1000'),
                resources=[amount('cpus', 0.1), amount('mem', 32)])])

    def statusUpdate(self, driver, update):
        task, state, reason = update['task_id']['value'], update['state'], update.get('reason')
        print('update', task, state, reason, update.get('message'))
        seen.append((task, state, reason))
        if (task, state, reason) == ('sleeper', 'TASK_RUNNING', None):
            driver.reconcileTasks([dict(task_id=TASK, agent_id=update['agent_id']), dict(task_id=NOBODY)])
        elif task == 'nobody':
            driver.reconcileTasks([])
        elif task == 'sleeper' and reason == 'REASON_RECONCILIATION':
            if state != 'TASK_RUNNING':
                bad.append(update)
            # The second answer is that to the implicit question.
            if seen.count(('sleeper', 'TASK_RUNNING', 'REASON_RECONCILIATION')) == 2:
                driver.killTask(TASK)
        elif state == 'TASK_KILLED':
            over.set()
        elif state in ('TASK_FAILED', 'TASK_FINISHED', 'TASK_ERROR'):
            bad.append(update)
            over.set()

    def error(self, driver, message):
        bad.append(message)
        over.set()


driver = MesosSchedulerDriver(Kills(), dict(user=getpass.getuser(), name='pymesos-kill', hostname='localhost'), master)
driver.start()
ended = over.wait(limit)
driver.stop()
driver.join()
print(seen, bad)
sys.exit(0 if ended and not bad and ('nobody', 'TASK_LOST', 'REASON_RECONCILIATION') in seen else 1)
