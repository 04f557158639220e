to: frontend/src/pages/{{ snake_plural }}/List.tsx
skip_exists: true
message: "Frontend `List` page for `{{ pascal_singular }}` was added successfully."
injections:
- into: frontend/src/routes.tsx
  after: "// scaffold:imports"
  content: "{{ frontend_imports_injection }}"
- into: frontend/src/routes.tsx
  after: "// scaffold:routes"
  content: "{{ frontend_routes_injection }}"
- into: frontend/src/pages/Home.tsx
  after: "scaffold:nav"
  content: "{{ frontend_nav_injection }}"
---
import { Link, useSearchParams } from 'react-router'
import { useList{{ pascal_plural }}, useRemove{{ pascal_singular }} } from '../../api/{{ snake_plural }}'
import { Page } from '../../components/Page'
import { Pager } from '../../components/Pager'

export function List() {
  const [search] = useSearchParams()
  const { data, error, isLoading } = useList{{ pascal_plural }}({ page: Number(search.get('page')) || 1 })
  const remove = useRemove{{ pascal_singular }}()

  function handleDelete(id: number) {
    if (window.confirm('Delete this {{ pascal_singular }}?')) {
      remove.mutate(id)
    }
  }

  return (
    <Page title="{{ pascal_plural }}">
      <p>
        <Link to="/{{ snake_plural }}/new">New {{ pascal_singular }}</Link>
      </p>
      {isLoading && <output>Loading…</output>}
      {error && <p className="problems" role="alert">{error.message}</p>}
      {remove.error && <p className="problems" role="alert">{remove.error.message}</p>}
      {data && (
        <table>
          <thead>
            <tr>
{%- for field in fields %}
              <th scope="col">{{ field.label }}</th>
{%- endfor %}
              <th scope="col">Actions</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map(({{ camel_singular }}) => (
              <tr key={{ "{" }}{{ camel_singular }}.id}>
{%- for field in fields %}
{%- set value = camel_singular ~ "." ~ field.field_name %}
{%- if field.input_kind == "checkbox" %}
                <td>{{ "{" }}{% if field.nullable %}{{ value }} === null ? '–' : {% endif %}{{ value }} ? 'Yes' : 'No'}</td>
{%- else %}
                <td>{{ "{" }}{{ value }}{% if field.nullable %} ?? '–'{% endif %}}</td>
{%- endif %}
{%- endfor %}
                <td>
                  <Link to={`/{{ snake_plural }}/${{ "{" }}{{ camel_singular }}.id}`}>Show</Link>{' '}
                  <Link to={`/{{ snake_plural }}/${{ "{" }}{{ camel_singular }}.id}/edit`}>Edit</Link>{' '}
                  <button type="button" className="link" onClick={() => handleDelete({{ camel_singular }}.id)}>
                    Delete
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {data && <Pager page={data} />}
    </Page>
  )
}
