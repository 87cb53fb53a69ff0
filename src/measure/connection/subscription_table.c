#include "measure/connection/subscription_table.h"

#include "base/memory.h"

/* 16 million places, more than there can be queries; and 2^39 ids, which a connection that makes
 * 1,000 per second uses up in 17 years. */
enum { PLACE_BITS = 24 };

static size_t place_of(uint64_t id)
{
    return id & ((UINT64_C(1) << PLACE_BITS) - 1);
}

static size_t next_place(const struct subscription_table *table)
{
    return table->free > 0 ? table->free - 1 : table->count;
}

uint64_t subscription_table_next_id(const struct subscription_table *table)
{
    return (table->number + 1) << PLACE_BITS | next_place(table);
}

void subscription_table_add(struct subscription_table *table, struct query *query)
{
    uint64_t id = subscription_table_next_id(table);
    size_t place = next_place(table);
    if (place == table->count) {
        table->places =
            memory_grow(table->places, &table->capacity, table->count + 1, sizeof(*table->places));
        table->count++;
    } else {
        table->free = (size_t)table->places[place].id;
    }
    table->places[place] = (struct subscription_place){query, id};
    table->used++;
    table->number++;
}

struct query *subscription_table_find(const struct subscription_table *table, uint64_t id)
{
    size_t place = place_of(id);
    return place < table->count && table->places[place].id == id ? table->places[place].query
                                                                 : NULL;
}

void subscription_table_remove(struct subscription_table *table, uint64_t id)
{
    size_t place = place_of(id);
    table->places[place] = (struct subscription_place){NULL, table->free};
    table->free = place + 1;
    table->used--;
}
