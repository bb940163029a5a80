"""Acceptance: unmodified pymesos 0.3.15 sees a task become healthy, fall ill and be killed for it.
usage: pymesos_health.py MASTER(host:port) [TIMEOUT=60]"""
import getpass, sys, threading
from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler

master, limit = sys.argv[1], float((sys.argv + [60])[2])
told, bad, over, launched = [], [], threading.Event(), []

class S(Scheduler):
    def resourceOffers(self, driver, offers):
        for o in offers:
            if launched:
                driver.declineOffer(o['id']); continue
            t = Dict(); t.task_id.value = 'patient'; t.agent_id = o['agent_id']; t.name = 'patient'
            t.command.value = 'touch well; until test -e seen; do sleep 0.05; done; rm well; exec sleep 1000'
            t.health_check = dict(type='COMMAND', command=dict(value='test -e well && touch seen'), delay_seconds=0.1,
                                  interval_seconds=0.1, timeout_seconds=10, consecutive_failures=2, grace_period_seconds=5)
            t.resources = [dict(name='cpus', type='SCALAR', scalar=dict(value=0.1)), dict(name='mem', type='SCALAR', scalar=dict(value=32))]
            launched.append(o['id']); driver.launchTasks(o['id'], [t.to_dict()])
    def statusUpdate(self, driver, u):
        print('update', u['state'], u.get('healthy'), u.get('reason'), u.get('message'))
        told.append((u['state'], u.get('healthy'), u.get('reason'), u.get('message') or ''))
        if u['state'] not in ('TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING'): over.set()
    def error(self, driver, message): print('error', message); bad.append(message); over.set()

d = MesosSchedulerDriver(S(), dict(user=getpass.getuser(), name='pymesos-health', hostname='localhost'), master)
d.start(); over.wait(limit); d.stop(); d.join()
states = [(state, healthy) for state, healthy, _, _ in told]
end = told[-1] if told else ('', None, '', '')
ok = (states[:3] == [('TASK_STARTING', None), ('TASK_RUNNING', None), ('TASK_RUNNING', True)]
      and ('TASK_RUNNING', False) in states and end[:2] == ('TASK_KILLED', False)
      and end[2] == 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED'
      and 'COMMAND health check failed 2 times in a row: Command exited with status 1' in end[3])
sys.exit(0 if ok and not bad else 1)
