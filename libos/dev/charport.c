/*
 * The registry of character ports: ports and claims find each other by name, whichever comes first.
 */
#include <core/string.h>
#include <core/sync.h>
#include <libos/charport.h>

static struct list ports = LIST_INIT(ports);
static struct list claims = LIST_INIT(claims);
static struct spinlock registry_lock = SPINLOCK_INIT;

static void marry(struct charport *p, struct charport_claim *c)
{
	p->owner_data = c->owner_data;
	__atomic_store_n(&p->owner, c->owner, __ATOMIC_RELEASE);
	c->claimed(p);
}

void charport_claim(struct charport_claim *claim)
{
	struct charport *p, *found = NULL;

	spin_lock(&registry_lock);
	list_push_back(&claims, &claim->link);
	list_for_each(p, &ports, link) {
		if (!found && !p->owner && str_equal(p->name, claim->name))
			found = p;
	}
	claim->taken = found != NULL;
	spin_unlock(&registry_lock);
	if (found)
		marry(found, claim);
}

void charport_register(struct charport *p)
{
	struct charport_claim *c, *found = NULL;

	spin_lock(&registry_lock);
	list_push_back(&ports, &p->link);
	list_for_each(c, &claims, link) {
		if (!found && !c->taken && str_equal(p->name, c->name))
			found = c;
	}
	if (found)
		found->taken = true;
	spin_unlock(&registry_lock);
	if (found)
		marry(p, found);
}
